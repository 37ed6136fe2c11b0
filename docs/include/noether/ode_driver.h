/* ode_driver.h - lets the programs of docs/ say <noether/ode_driver.h>, as a user of the installed package does. */
/* SPDX-License-Identifier: MIT */
#include "../../../integrators/ode_driver.h"
