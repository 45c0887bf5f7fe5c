"""How many planted faults different gradient checks notice, on the same inputs.

    python -m benchmarks.detection [--layers NAMES] [--sample N] [--draws K] [--equivalent FILE] [-j JOBS] [--json FILE]

run from a checkout. The faults are the mutants of `gradjury mutate`, those declared equivalent left out. The inputs are
the same for all checks: the first K draws of gradjury's domain in float64, sub-cases 0 to 3 of each (0 and 2 are small
integers, 1 and 3 normal numbers; from 2 on with the drawn edits, such as ties and magnitudes), those that gradjury's
trial begins with. Each check sees a case after the other until one alarms. A case at which a check alarms on the layer
*without* a fault counts as a false alarm of that check, and earns it nothing.

- gradjury: the laws that hold for every layer, the strict ones included, in float64 and on these cases only.
- gradcheck, fast: torch.autograd.gradcheck with its defaults on the layer wrapped as a torch.autograd.Function.
- jax style, hips style: the reverse-mode checks of jax.test_util.check_grads and autograd.test_util, after their
  documentation and in our own words: one random direction and cotangent, <cotangent, J·direction> by a central
  difference, their default steps and tolerances.
- ones: outputs and gradients against torch's, for a cotangent of ones, by numpy.allclose at rtol 1e-5, atol 1e-8.

What they cannot see by construction: gradcheck and the jax and hips styles compare a layer with itself, so that a
forward that is wrong, with the gradient of that wrong forward, passes; therefore the rates are also given over the
mutants whose outputs on all cases are, bit for bit, those of the layer without a fault ("backward"). None of the others
looks at float32, at memory or views, at NaN, at the refusal of bad input; "ones" has no other cotangent.
"""
