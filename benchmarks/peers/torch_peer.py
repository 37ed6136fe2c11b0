#!/usr/bin/env python3
"""The benchmarks' functions in PyTorch, timed on request, so that both sides of a ratio are timed in turn.

Reads commands from standard input, answers on standard output:
    problem NAME real k n1 ... nk   then the k arrays as doubles: the data of the function
    work NAME                       -> number of results, then the results as doubles; chooses what is timed
    time N                          -> processor seconds of this process for N evaluations
One thread; eager mode with autograd, batched tensor operations wherever the function has them. `step` frees and
makes its graph anew each time, as training does. An empty line or the end of input ends the program.
SPDX-License-Identifier: MIT
"""
import sys
import time

import numpy as np
import torch

torch.set_num_threads(1)
REAL = {"f64": torch.float64, "f32": torch.float32}


def nbody(z):
    r, p = z[:24].view(3, 8), z[24:]
    i, j = nbody.pairs
    d = r[:, i] - r[:, j]
    return (p * p).sum() / 2 - (d * d).sum(0).rsqrt().sum()


nbody.pairs = torch.triu_indices(8, 8, 1)


def fput(z):
    q, p = z[:64], z[64:]
    d = q[1:] - q[:-1]
    s = d * d
    return (p * p).sum() / 2 + s.sum() / 2 + 0.25 / 4 * (s * s).sum()


def henon(z):
    x, y = z[0], z[1]
    return (z * z).sum() / 2 + x * x * y - y ** 3 / 3


def mixture(x, a, d, K):
    """Log-likelihood of samples x [n,d]; a = weights [K], means [K,d], log diagonals and lower triangles [K,d(d+1)/2]."""
    alpha, mu, icf = a[:K], a[K:K + K * d].view(K, d), a[K + K * d:].view(K, -1)
    Q = torch.zeros(K, d * d, dtype=a.dtype)
    lower = torch.tril_indices(d, d, -1)
    Q = Q.index_copy(1, lower[0] * d + lower[1], icf[:, d:]).view(K, d, d) + torch.diag_embed(icf[:, :d].exp())
    # Q (x - mu) for all samples and components as one product
    y = x @ Q.reshape(K * d, d).t() - (Q @ mu.unsqueeze(2)).reshape(1, K * d)
    s = y.view(-1, K, d).square().sum(2)
    return (torch.logsumexp(alpha + icf[:, :d].sum(1) - s / 2, 1)).sum() - len(x) * torch.logsumexp(alpha, 0)


class Scalar:
    """f: [n] -> number, with its derivatives."""

    def __init__(self, f, z, v):
        self.f, self.z, self.v = f, z.requires_grad_(True), v

    def value(self):
        with torch.no_grad():
            return self.f(self.z)

    def gradient(self):
        return torch.autograd.grad(self.f(self.z), self.z)[0]

    def hvp(self):
        g, = torch.autograd.grad(self.f(self.z), self.z, create_graph=True)
        return torch.autograd.grad(g, self.z, self.v)[0]

    def hessian(self):
        return torch.autograd.functional.hessian(self.f, self.z)

    def hessian_vectorized(self):
        return torch.autograd.functional.hessian(self.f, self.z, vectorize=True)


class Network:
    """H = MLP(z), f = J dH/dz, loss = mean (f - dz)^2 and its gradient in the weights."""

    def __init__(self, W1, b1, W2, b2, w3, z, dz):
        self.p = [w.requires_grad_(True) for w in (W1, b1, W2, b2, w3)]
        self.z, self.dz = z.requires_grad_(True), dz

    def loss(self):
        W1, b1, W2, b2, w3 = self.p
        a1 = torch.tanh(torch.addmm(b1, self.z, W1.t()))
        a2 = torch.tanh(torch.addmm(b2, a1, W2.t()))
        g, = torch.autograd.grad((a2 @ w3.t()).sum(), self.z, create_graph=True)
        n = g.shape[1] // 2
        return (torch.cat([g[:, n:], -g[:, :n]], 1) - self.dz).pow(2).mean()

    def step(self):
        loss = self.loss()
        return [loss, *torch.autograd.grad(loss, self.p)]


def make(name, a, sizes):
    if name in ("nbody8", "fput64", "henon-heiles"):
        f = {"nbody8": nbody, "fput64": fput, "henon-heiles": henon}[name]
        return Scalar(f, a[0], a[1])
    if name == "mixture":
        n, d, K = (int(k) for k in a[0])
        x = a[1].view(n, d)
        return Scalar(lambda p: mixture(x, p, d, K), a[2], a[3])
    if name == "network":
        batch, d, h = (int(k) for k in a[0])
        return Network(a[1].view(h, d), a[2].view(1, h), a[3].view(h, h), a[4].view(1, h), a[5].view(1, h),
                       a[6].view(batch, d), a[7].view(batch, d))
    raise ValueError(name)


def blas():
    """The file of the library that computes products: with the reference BLAS they are ten times slower."""
    with open("/proc/self/maps") as f:
        names = {line.split("/")[-1].strip() for line in f if "blas" in line}
    return "+".join(sorted(names)) or "unknown"


def main():
    read, write = sys.stdin.buffer, sys.stdout.buffer
    problem = work = None
    torch.ones(64, 64) @ torch.ones(64, 64)
    write.write(f"ready {torch.__version__}/{blas()}\n".encode())
    write.flush()
    while True:
        words = read.readline().decode().split()
        if not words:
            return
        if words[0] == "problem":
            sizes = [int(n) for n in words[4:]]
            arrays = [torch.from_numpy(np.frombuffer(read.read(8 * n)).copy()).to(REAL[words[2]]) for n in sizes]
            problem = make(words[1], arrays, sizes)
            continue
        if words[0] == "work":
            work = getattr(problem, words[1])
            result = work()
            result = result if isinstance(result, list) else [result]
            out = np.concatenate([r.detach().double().reshape(-1).numpy() for r in result])
            write.write(f"{len(out)}\n".encode() + out.tobytes())
        else:
            count = int(words[1])
            start = time.process_time()
            for _ in range(count):
                work()
            write.write(f"{time.process_time() - start:.9e}\n".encode())
        write.flush()


if __name__ == "__main__":
    main()
