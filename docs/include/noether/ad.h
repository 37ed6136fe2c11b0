/* ad.h - lets the programs of docs/ say <noether/ad.h>, as a user of the installed package does. */
/* SPDX-License-Identifier: MIT */
#include "../../../autodiff/ad.h"
