# coefficients.py - the library's tables against independent ones: dopri5 and dop853 against SciPy's, splittings against a file of lines
# "name | order | general order | a | b | source" (- where a source is absent, its part is skipped with a message):
#   python3 tests/reference/coefficients.py [splitting_coefficients.txt]
# What a table with few digits can show is agreement to its digits; orders are measured by tests/test_ode_order.c in quadruple precision.
# SPDX-License-Identifier: MIT
import os
import re
import sys
from fractions import Fraction

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def rows(file):
    """name -> {field: [Fraction]} of a C file of rows; texts of several lines are joined."""
    text = open(os.path.join(root, "integrators", file)).read()
    out = {}
    for part in re.split(r'\{\s*\.name = "', text)[1:]:
        name, rest = part.split('"', 1)
        out[name] = {}
        for field, body in re.findall(r'\.(a|b|e|e2) = ((?:"[^"]*"\s*)+)', rest):
            joined = "".join(re.findall(r'"([^"]*)"', body))
            out[name][field] = [Fraction(x) for x in re.split(r"[\s|;,]+", joined) if x]
    return out


def differs(ours, theirs):
    """The largest difference; 9 when the lengths differ."""
    return max((abs(float(Fraction(x) - Fraction(y))) for x, y in zip(ours, theirs)), default=0) if len(ours) == len(theirs) else 9


bad = 0


def show(what, d, bound):
    global bad
    bad += not d <= bound
    print("%-28s %.1e %s" % (what, d, "" if d <= bound else "DIFFERS"))


rk = rows("rows_rk.c")
try:
    import scipy
    from scipy.integrate import RK45, DOP853

    print("SciPy", scipy.__version__)
    for name, m in (("dopri5", RK45), ("dop853", DOP853)):
        n = m.n_stages
        A = [Fraction(float(m.A[i, j])) for i in range(1, n) for j in range(i)] + [Fraction(float(x)) for x in m.B]
        show(name + " A, b", differs(rk[name]["a"], A), 2e-15)
        show(name + " weights", differs(rk[name]["b"][:n], [Fraction(float(x)) for x in m.B]), 2e-15)
        if name == "dop853":
            show(name + " errors (5)", differs(rk[name]["e"], [Fraction(float(x)) for x in m.E5]), 2e-15)
            show(name + " errors (3)", differs(rk[name]["e2"], [Fraction(float(x)) for x in m.E3]), 2e-15)
        else:
            E = [Fraction(float(x)) for x in m.E]
            show(name + " errors", min(differs(rk[name]["e"], E), differs(rk[name]["e"], [-x for x in E])), 2e-15)
except ImportError:
    print("SciPy is not installed (python3-scipy): dopri5 and dop853 are not compared")

if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
    split = rows("rows_split.c")
    for line in open(sys.argv[1]):
        parts = [x.strip() for x in line.split("|")]
        if line.startswith("#") or len(parts) < 6:
            continue
        a, b = ([Fraction(x) for x in p.split()] for p in parts[3:5])
        best = min(((max(differs(r.get("a", []), a), differs(r.get("b", []), b)), n) for n, r in split.items()), default=(9, "-"))
        show("%s = %s" % (parts[0], best[1] if best[0] < 1 else "?"), best[0], 2e-14)
else:
    print("no file of splittings given: they are not compared")
sys.exit(bad > 0)
