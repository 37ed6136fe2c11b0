/* ode.h - lets the programs of docs/ say <noether/ode.h>, as a user of the installed package does. */
/* SPDX-License-Identifier: MIT */
#include "../../../integrators/ode.h"
