# scipy_dop853.py - SciPy's DOP853 on the two problems of bench_work_precision.c: a line "problem tolerance milliseconds evaluations
# state ..." for each tolerance. The fields are written as a user of NumPy would; processor time of this thread.
#   python3 scipy_dop853.py < problem parameters and starts, one problem a line: name t_end start ...
# SPDX-License-Identifier: MIT
import sys
import time

import numpy as np
from scipy.integrate import solve_ivp


def henon_heiles(t, y):
    return [y[2], y[3], -y[0] - 2 * y[0] * y[1], -y[1] - y[0] ** 2 + y[1] ** 2]


def outer_solar_system(masses):
    G, m = masses[0], masses[1:]
    weights = G * np.outer(m, m)

    def field(t, y):
        q, p = y[:18].reshape(6, 3), y[18:].reshape(6, 3)
        d = q[:, None, :] - q[None, :, :]
        r2 = (d * d).sum(axis=2)
        np.fill_diagonal(r2, 1)
        f = -((weights / (r2 * np.sqrt(r2)))[:, :, None] * d).sum(axis=1)
        return np.concatenate([(p / m[:, None]).ravel(), f.ravel()])

    return field


for line in sys.stdin:
    name, *numbers = line.split()
    numbers = np.array([float(x) for x in numbers])
    t_end, rest = numbers[0], numbers[1:]
    f, start = (henon_heiles, rest) if name == "henon-heiles" else (outer_solar_system(rest[:7]), rest[7:])
    for tolerance in (1e-4, 1e-6, 1e-8, 1e-10, 1e-12):
        begin = time.thread_time()
        s = solve_ivp(f, (0, t_end), start, method="DOP853", rtol=tolerance, atol=tolerance, t_eval=[t_end])
        spent = time.thread_time() - begin
        print(name, tolerance, 1e3 * spent, s.nfev, *("%.17g" % x for x in s.y[:, -1]), flush=True)
