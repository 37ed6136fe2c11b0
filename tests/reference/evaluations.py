# evaluations.py - how often established integrators evaluate the field; with evaluations_gsl.c it gives evaluations.txt:
#   { python3 tests/reference/evaluations.py; gcc -O2 -o /tmp/gsl tests/reference/evaluations_gsl.c -lgsl -lgslcblas -lm \
#     && /tmp/gsl; } > tests/reference/evaluations.txt
# Lines: tool method problem tolerance evaluations; rtol = atol = tolerance. The problems are those of problems.h.
# SPDX-License-Identifier: MIT
import numpy as np
import scipy
from scipy.integrate import solve_ivp


def henon_heiles(t, y):
    return [y[2], y[3], -y[0] - 2 * y[0] * y[1], -y[1] - y[0] ** 2 + y[1] ** 2]


def kepler(t, y):
    r3 = (y[0] ** 2 + y[1] ** 2) ** 1.5
    return [y[2], y[3], -y[0] / r3, -y[1] / r3]


def double_pendulum(t, y):
    g, c, s, p, r = 9.81, np.cos(y[0] - y[1]), np.sin(y[0] - y[1]), y[2], y[3]
    S, N = 1 + s * s, p * p + 2 * r * r - 2 * p * r * c
    d = p * r * s / S - N * s * c / S**2
    return [(p - r * c) / S, (2 * r - p * c) / S, -d - 2 * g * np.sin(y[0]), d - g * np.sin(y[1])]


def arenstorf(t, y):
    m = 0.012277471
    M = 1 - m
    a, b = ((y[0] + m) ** 2 + y[1] ** 2) ** 1.5, ((y[0] - M) ** 2 + y[1] ** 2) ** 1.5
    return [y[2], y[3], y[0] + 2 * y[3] - M * (y[0] + m) / a - m * (y[0] - M) / b,
            y[1] - 2 * y[2] - M * y[1] / a - m * y[1] / b]


print("# tool method problem tolerance evaluations; SciPy", scipy.__version__)
problems = [
    ("henon-heiles", henon_heiles, 100, [0.3125, -0.25, 0.25, 0.25]),
    ("kepler", kepler, 20, [0.4, 0, 0, 2]),
    ("double-pendulum", double_pendulum, 10, [1, -0.5, 0, 0]),
    ("arenstorf", arenstorf, 17.0652165601579625588917206249, [0.994, 0, 0, -2.00158510637908252240537862224]),
]
for name, f, t, y in problems:
    for method in ("RK45", "DOP853"):
        for tol in (1e-6, 1e-9, 1e-12):
            r = solve_ivp(f, (0, t), y, method=method, rtol=tol, atol=tol)
            print("scipy", method, name, tol, r.nfev)
