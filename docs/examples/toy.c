/* toy.c - reverse mode on a tape, whose derivatives are recorded on the same tape: the whole idea, nothing else.
 * Invariant: a node is recorded after its operands, so going down the numbers is going against the arrows. */
/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

enum { INPUT, ADD, MUL, SIN, COS, EXP };

typedef int var; /* a value is its place on the tape */
typedef struct node {
    int op;
    var a, b; /* operands; 0 is nobody */
    double value;
} node;

static node tape[100000];
static int used = 1;

static var record(int op, var a, var b, double value)
{
    tape[used] = (node){op, a, b, value};
    return used++;
}

static var number(double v) { return record(INPUT, 0, 0, v); }
static var add(var a, var b) { return record(ADD, a, b, tape[a].value + tape[b].value); }
static var mul(var a, var b) { return record(MUL, a, b, tape[a].value * tape[b].value); }
static var sine(var a) { return record(SIN, a, 0, sin(tape[a].value)); }
static var cosine(var a) { return record(COS, a, 0, cos(tape[a].value)); }
static var power_of_e(var a) { return record(EXP, a, 0, exp(tape[a].value)); }
static var minus(var a) { return mul(number(-1), a); }

/* One more way in which y depends on a: contributions add up. */
static void contribute(var adjoint[], var a, var d) { adjoint[a] = adjoint[a] ? add(adjoint[a], d) : d; }

/* dx[i] = dy/dx[i], recorded. */
static void gradient(var y, int n, const var x[], var dx[])
{
    var adjoint[y + 1]; /* 0: none so far */
    for (var i = 0; i <= y; i++)
        adjoint[i] = 0;
    adjoint[y] = number(1);
    for (var i = y; i > 0; i--) {
        var g = adjoint[i], a = tape[i].a, b = tape[i].b;
        if (!g)
            continue; /* y does not depend on it */
        switch (tape[i].op) {
        case ADD:
            contribute(adjoint, a, g);
            contribute(adjoint, b, g);
            break;
        case MUL:
            contribute(adjoint, a, mul(g, b));
            contribute(adjoint, b, mul(g, a));
            break;
        case SIN:
            contribute(adjoint, a, mul(g, cosine(a)));
            break;
        case COS:
            contribute(adjoint, a, mul(g, minus(sine(a))));
            break;
        case EXP:
            contribute(adjoint, a, mul(g, i)); /* e^a is the node itself */
            break;
        }
    }
    for (int k = 0; k < n; k++)
        dx[k] = adjoint[x[k]] ? adjoint[x[k]] : number(0);
}

int main(void)
{
    /* e^x sin x: the n-th derivative is 2^(n/2) e^x sin(x + n pi/4) */
    var x = number(0.5), y = mul(power_of_e(x), sine(x));
    for (int n = 0; n <= 5; n++) {
        double formula = pow(2, n / 2.0) * exp(0.5) * sin(0.5 + n * acos(-1) / 4);
        printf("order %d: %14.10f  by the formula %14.10f  nodes %d\n", n, tape[y].value, formula, used - 1);
        gradient(y, 1, &x, &y);
    }

    /* A pendulum, H = p^2/2 - cos q: Hamilton's equations are its gradient, and the gradient is differentiated again. */
    var z[2] = {number(1), number(0.3)}, half = number(0.5);
    var H = add(mul(half, mul(z[1], z[1])), minus(cosine(z[0]))), dH[2], row[2];
    gradient(H, 2, z, dH);
    printf("dq/dt = %.6f, dp/dt = %.6f\n", tape[dH[1]].value, -tape[dH[0]].value);
    for (int k = 0; k < 2; k++) {
        gradient(dH[k], 2, z, row);
        printf("Hessian, row %d: %.6f %.6f\n", k, tape[row[0]].value, tape[row[1]].value);
    }
    return 0;
}
