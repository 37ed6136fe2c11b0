/* rows.h - private: the tables of methods, one per file.
 * Invariant: names are unique over all tables. */
/* SPDX-License-Identifier: MIT */
#ifndef ODE_ROWS_H
#define ODE_ROWS_H
#include "space.h"
extern ODE_HIDDEN const ode_method ode_rows_rk[], ode_rows_split[], ode_rows_implicit[];
extern ODE_HIDDEN const int ode_rows_rk_count, ode_rows_split_count, ode_rows_implicit_count;
#endif
