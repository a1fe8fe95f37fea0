"""Golden vectors for the published kernels (I-ViT's and I-BERT's) and for dyadic numbers, computed with exact fractions.

    python3 test/kernels/vectors.py > test/kernels/vectors.json

Written from the formulas in docs/arithmetic.md, section 10, alone, without a look at the TypeScript. Divisions of reals that the design
leaves in double precision (-1/S, 1.702 S, beta/gamma, sqrt(D)) are Python's, which are the same IEEE operations.
"""
import json
import math
import random
from fractions import Fraction as F

MAX = 2**31 - 1


def floor(q):
    return math.floor(q)


def shift_exponential(x, scale, n):
    x1 = x + floor(F(x, 2)) - floor(F(x, 16))
    x0 = math.floor(-1.0 / scale)
    x1 = max(x1, n * x0)
    q = floor(F(x1, x0))
    r = x1 - x0 * q
    return max(0, floor((F(r, 2) - x0) * F(2) ** (n - q)))


def shiftmax(x, scale, bits):
    e = [shift_exponential(v - max(x), scale, 15) for v in x]
    s = min(sum(e), MAX)
    f = MAX // s
    return [floor(F(v * f, 2 ** (31 - bits + 1))) for v in e]


def shift_gelu(x, scale):
    sig = 1.702 * scale
    m = max(x)
    em = shift_exponential(-m, sig, 23)
    out = []
    for v in x:
        e = shift_exponential(v - m, sig, 23)
        s = min(e + em, MAX)
        out.append(v * floor(F(e * (MAX // s), 2**24)))
    return out


def layer_norm(x, weight, bias):
    n = len(x)
    mean = round(F(sum(x), n))  # Python rounds fractions half to even
    y = [v - mean for v in x]
    var = sum(v * v for v in y)
    k = 2**16
    for _ in range(10):
        k = floor(F(k + var // k, 2))
    f = MAX // k
    unit = math.sqrt(n) / 2**30
    return [floor(F(v * f, 2)) + math.floor(b / g / unit) for v, g, b in zip(y, weight, bias)]


def dyadic(m):
    if m == 0:
        return {"b": 0, "c": 1}
    f, e = math.frexp(m)
    sign = 1 if m > 0 else -1
    b = floor(abs(F(f)) * 2**31 + F(1, 2))
    if b == 2**31:
        b, e = 2**30, e + 1
    c = 31 - e
    if c > 62:
        c, b = 62, floor(abs(F(m)) * 2**62 + F(1, 2))
    return {"b": sign * b, "c": c}


# I-BERT (arXiv 2101.01321), algorithms 1 to 4, with the scales that docs/arithmetic.md, section 10, gives them.


def i_poly(q, scale, a, b, c):
    return (q + floor(b / scale)) ** 2 + floor(c / (a * scale * scale))


def i_exp(q):
    scale = math.log(2) / 2**10
    ln2 = 2**10
    z = floor(F(-q, ln2))
    return floor(F(i_poly(q + z * ln2, scale, 0.3585, 1.353, 0.344), 2**z))


def i_softmax(x, bits):
    e = [floor(F(i_exp(v - max(x)), 2**8)) for v in x]
    factor = (2**32 - 1) // sum(e)
    return [floor(F(v * factor, 2 ** (32 - bits))) for v in e]


def i_gelu(q, bits):
    scale = 2.0**-bits / math.sqrt(2)
    a, b, c = -0.2888, -1.769, 1
    sign = (q > 0) - (q < 0)
    edge = -floor(b / scale)
    erf = floor(F(sign * i_poly(min(abs(q), edge), scale, a, b, c), 2 ** (2 * bits - 12)))
    one = floor(1 / (a * scale * scale * 2.0 ** (2 * bits - 12)))
    return -q * (erf + one)  # its scale is negative


def i_sqrt(n):
    if n == 0:
        return 0
    x = 2 ** -(-n.bit_length() // 2)
    while True:
        y = (x + n // x) // 2
        if y >= x:
            return x
        x = y


def main():
    rng = random.Random(20231)
    row = lambda n, lo, hi: [rng.randint(lo, hi) for _ in range(n)]
    cases = {"shiftmax": [], "shiftGelu": [], "layerNorm": [], "dyadic": []}

    for scale in (0.01, 0.0625, 0.1, 1 / 3, 0.9, 1.0, 1.5, 3.7e-4):
        for bits in (8, 16):
            for x in (row(1, -128, 127), row(7, -128, 127), row(197, -128, 127), row(5, -3, 3), [-128] * 4, row(6, -30000, 30000)):
                cases["shiftmax"].append({"x": x, "scale": scale, "bits": bits, "out": shiftmax(x, scale, bits)})
    for scale in (0.01, 0.05, 0.1, 0.25, 1.0, 2.5):
        for x in (row(1, -128, 127), row(16, -128, 127), row(64, -128, 127), row(8, -128, -1), row(8, 0, 127), [0] * 3):
            cases["shiftGelu"].append({"x": x, "scale": scale, "out": shift_gelu(x, scale)})
    for n, hi in ((1, 5), (2, 5), (3, 127), (8, 127), (192, 32767), (192, 2**23), (64, 0), (16, 1)):
        for _ in range(3):
            x = row(n, -hi, hi)
            weight = [rng.choice((-1, 1)) * rng.uniform(0.01, 3) for _ in range(n)]
            bias = [rng.uniform(-2, 2) for _ in range(n)]
            cases["layerNorm"].append({"x": x, "weight": weight, "bias": bias, "out": [str(v) for v in layer_norm(x, weight, bias)]})
    # Means that are exact halves: rounded to the even neighbour.
    for x in ([0, 1], [1, 2], [-1, 0], [-2, -1], [0, 1, 0, 1], [3, 4]):
        cases["layerNorm"].append({"x": x, "weight": [1.0] * len(x), "bias": [0.0] * len(x), "out": [str(v) for v in layer_norm(x, [1.0] * len(x), [0.0] * len(x))]})

    scales = [0.0, 1.0, -1.0, 0.5, 0.1, -0.1, 1 / 3, 10 / 127, 2.0**-31, 2.0**-32, 2.0**-33, -(2.0**-40), 3e-10, 1e-18, 5e-20, 2.0**-62, 2.0**-63, 2.0**-64, 1e-300, 5e-324]
    scales += [1 - 2.0**-53, 1 - 2.0**-33, 1 - 2.0**-32, 1 - 2.0**-31, 2.0**29, 2.0**30 - 1, 12345.678, 2.0**30 - 0.5, math.pi]
    scales += [rng.choice((-1, 1)) * 2.0 ** rng.uniform(-70, 29.9) for _ in range(60)]
    for m in scales:
        cases["dyadic"].append({"scale": m, **dyadic(m)})
    rng = random.Random(2101)
    cases["iSoftmax"], cases["iGelu"], cases["iSqrt"] = [], [], []
    for bits in (8, 16):
        for x in (row(1, -5, 5), row(7, -3000, 3000), row(197, -9000, 9000), row(5, -3, 3), [2**30, -(2**30), 2**30 - 15359, 2**30 - 15360], row(40, -1024, 0)):
            cases["iSoftmax"].append({"x": x, "bits": bits, "out": i_softmax(x, bits)})
    for bits in range(6, 13):
        for x in (row(64, -32767, 32767), row(64, -4 * 2**bits, 4 * 2**bits), [0, 1, -1, 32767, -32767]):
            cases["iGelu"].append({"x": x, "bits": bits, "out": [i_gelu(v, bits) for v in x]})
    for n in [1, 2, 3, 4, 2**32, 2**62 - 1, 2**63 - 1] + [rng.randint(1, 2 ** rng.randint(1, 63)) for _ in range(60)]:
        assert i_sqrt(n) == math.isqrt(n)
        cases["iSqrt"].append({"n": str(n), "out": str(i_sqrt(n))})
    print("{")
    print(",\n".join(f'"{name}": [\n' + ",\n".join(json.dumps(case, separators=(",", ":")) for case in rows) + "\n]" for name, rows in cases.items()))
    print("}")


main()
