"""Single laws of a layer, for tests to which the others say nothing."""

import gradjury
from gradjury.properties.check import run_checks
from gradjury.properties.laws.law import Bench, Broken
from gradjury.properties.trial import Trial, quiet


def tried(layer, *laws, scripts, examples=10, **declared):
    """How the layer fares under these laws, which share what is drawn; all of them where none is named."""
    checks = list(gradjury.checks(layer, examples=examples, scripts=scripts, **declared))
    chosen = [check for check in checks if check.law.name in laws or not laws]
    assert len(chosen) == len(laws or checks)
    return run_checks(chosen)


def holds(layer, *laws, scripts, **options):
    result = tried(layer, *laws, scripts=scripts, **options)
    assert result.passed, [(failure.what, failure.finding, failure.comparison) for failure in result.failures]
    return result


def broken(layer, law, *, scripts, **options):
    """The finding of a law that is broken."""
    result = tried(layer, law, scripts=scripts, **options)
    assert result.failures, f"{law} holds"
    return result.failures[0]


def caught(layer, law, *, examples=10, **declared):
    """The first finding of a law, neither shrunk nor looked into, which is most of the work; None where it holds."""
    check = next(check for check in gradjury.checks(layer, examples=examples, **declared) if check.law.name == law)
    subject = check.layer
    with quiet():
        for situation in Trial(subject, examples).draws(check.law):
            bench = Bench(subject.contract, subject.build(situation.config), situation.config, subject.build)
            for case in situation.cases():
                try:
                    check.law.judge(bench, case)
                except Broken as finding:
                    return finding
    return None
