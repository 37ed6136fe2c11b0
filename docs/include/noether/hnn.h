/* hnn.h - lets the programs of docs/ say <noether/hnn.h>, as a user of the installed package does. */
/* SPDX-License-Identifier: MIT */
#include "../../../hnn/hnn.h"
