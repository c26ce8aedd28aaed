"""The gate: rules and evidence give an answer."""

from detent.domain.evidence import Outcome, Policy, RuleResult
from detent.policy.limits import approvals
from detent.policy.parse import RULES
from detent.policy.rules import Evidence, not_on_hold, not_rolled_back, not_withdrawn


def judge(policy: Policy | None, evidence: Evidence) -> tuple[Outcome, tuple[RuleResult, ...]]:
    """Apply the rules that are always in force, then those of the policy.

    One rule that fails makes the answer ``fail``; otherwise one that cannot tell makes it
    ``inconclusive``.
    """
    results = [rule(evidence) for rule in (not_withdrawn, not_rolled_back, not_on_hold)]
    # A rule in force that had nothing to object to is not worth a line in the decision.
    results = [result for result in results if result.outcome is not Outcome.PASS]
    for rule in policy.rules if policy else ():
        results.append(RULES[rule.name].function(evidence, **rule.parameters))
    if policy and policy.approvals:
        results.append(approvals(evidence, number=policy.approvals))
    outcomes = {result.outcome for result in results}
    for outcome in (Outcome.FAIL, Outcome.INCONCLUSIVE):
        if outcome in outcomes:
            return outcome, tuple(results)
    return Outcome.PASS, tuple(results)
