"""Evidence label by label: e-values of a candidate's harm or safety, looked at after every label.

Each e-value is the money of a gambler who starts with 1 and bets that the claim is true, at odds
that are fair or worse where it is not. Such money exceeds 1 / alpha with a probability of at most
alpha, ever (Ville 1939), so one may look after every label and stop at will. All that is needed
is that, given the past, the claim is untrue of the next row: rows may become harder or easier.

Sixteen gamblers of different courage share the money, so that no effect has to be guessed. For
right and wrong answers their joint money depends on three counts only, in no order: that is the
whole state.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from detent.errors import InvalidError
from detent.stats.checks import check_between, check_count, check_share, check_state
from detent.stats.distributions import log_beta, log_beta_cdf

N_BETS = 16
_COURAGE = tuple(0.03 * (0.8 / 0.03) ** (j / (N_BETS - 1)) for j in range(N_BETS))


class Side(StrEnum):
    """What evidence is of.

    ``HARM``: the candidate is worse than the baseline by more than the margin. ``SAFE``: it is not
    worse by as much as the margin.
    """

    HARM = "harm"
    SAFE = "safe"


class PairedEvidence:
    """Evidence of harm or safety from rows that both versions answered.

    Parameters
    ----------
    side : Side
        What it is evidence of.
    margin : float, default=0.0
        A share between -1 and 1: 0.01 is one point.

    Raises
    ------
    InvalidError
        If the margin is out of its range.

    Notes
    -----
    Not changed by use, and so shared freely: the state is the counts, which the caller keeps.

    References
    ----------
    .. [1] Waudby-Smith, I., Ramdas, A. (2023). Estimating means of bounded random variables by
       betting. J. R. Stat. Soc. B 86(1), 1-27. doi:10.1093/jrsssb/qkad009

    Examples
    --------
    >>> harm = PairedEvidence(Side.HARM)
    >>> [harm.value(newly_wrong, 0, newly_wrong) >= 20 for newly_wrong in (8, 9)]
    [False, True]
    """

    __slots__ = ("_logs", "margin", "side")

    def __init__(self, side: Side, *, margin: float = 0.0) -> None:
        check_between("margin", margin, -1, 1)
        self.side, self.margin = side, margin
        self._logs = tuple(
            (math.log1p(bet * (1 - m)), math.log1p(-bet * (1 + m)), math.log1p(-bet * m))
            for m, bet in bets_of(side, margin)
        )

    def log_value(self, newly_wrong: float, newly_right: float, n: int) -> float:
        """Return the natural logarithm of the e-value.

        Parameters
        ----------
        newly_wrong, newly_right : float
            Rows that only the baseline, and only the candidate, got right. Where a unit is a
            group of rows, its shares of them: the evidence is then at most that of the mean
            differences of the groups (Jensen's inequality), and valid.
        n : int
            All rows, or groups, those included on which both were right or both wrong.

        Raises
        ------
        InvalidError
            If a count is below 0, or there are more disagreements than rows.
        """
        # Sums of shares may exceed their number by what floats round.
        same = n - newly_wrong - newly_right
        if newly_wrong < 0 or newly_right < 0 or same < -1e-9 * max(n, 1):
            raise InvalidError(
                f"{newly_wrong:,} newly wrong and {newly_right:,} newly right are no counts of"
                f" {n:,} rows"
            )
        won, lost = newly_wrong, newly_right
        if self.side is Side.SAFE:
            won, lost = lost, won
        same = max(same, 0.0)
        return _log_mean_exp([won * up + lost * down + same * tie for up, down, tie in self._logs])

    def value(self, newly_wrong: float, newly_right: float, n: int) -> float:
        """Return the e-value; infinite where it is too large for a float.

        Raises
        ------
        InvalidError
            As `log_value`.
        """
        log = self.log_value(newly_wrong, newly_right, n)
        return math.exp(log) if log < 700 else math.inf


class BoundedEvidence:
    """Evidence of harm or safety from differences of any bounded score or loss.

    The state is the logarithm of what each gambler has: 16 floats.

    Parameters
    ----------
    side : Side
        What it is evidence of.
    margin : float, default=0.0
        In units of the differences, between -1 and 1.
    state : sequence of float, optional
        What `state` was, to go on after a restart.

    Raises
    ------
    InvalidError
        If the margin is out of its range, or the state is not 16 finite numbers.

    Examples
    --------
    >>> harm = BoundedEvidence(Side.HARM)
    >>> for _ in range(30):
    ...     harm.add(-0.3)
    >>> harm.log_value() > 2.9
    True
    """

    __slots__ = ("_bets", "_sign", "_wealth", "margin", "side")

    def __init__(
        self, side: Side, *, margin: float = 0.0, state: tuple[float, ...] | None = None
    ) -> None:
        check_between("margin", margin, -1, 1)
        self.side, self.margin = side, margin
        self._sign = -1.0 if side is Side.HARM else 1.0
        self._bets = bets_of(side, margin)
        self._wealth = [0.0] * N_BETS if state is None else check_state(state, length=N_BETS)

    @property
    def state(self) -> tuple[float, ...]:
        """What is to be kept over a restart."""
        return tuple(self._wealth)

    def add(self, gain: float) -> None:
        """Take one row into account.

        Parameters
        ----------
        gain : float
            How much better the candidate was, in [-1, 1]; what lies beyond counts as -1 or 1, so
            declare bounds that the loss keeps to.

        Raises
        ------
        InvalidError
            If it is missing (NaN) or infinite.
        """
        check_between("gain", gain, -math.inf, math.inf)
        won = self._sign * min(max(gain, -1.0), 1.0)
        self._wealth = [
            wealth + math.log1p(bet * (won - m))
            for wealth, (m, bet) in zip(self._wealth, self._bets, strict=True)
        ]

    def log_value(self) -> float:
        """Return the natural logarithm of the e-value."""
        return _log_mean_exp(self._wealth)


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryState:
    """What a canary has seen: labels and their losses, and 16 logarithms of wealth."""

    n: int = 0
    loss: float = 0.0
    wealth: tuple[float, ...] = (0.0,) * N_BETS


class CanaryEvidence:
    """Evidence of harm or safety where each row is answered by one version only.

    Needs that chance decides which version answers, with a known share, whatever the row is.
    Every loss is compared with what losses have been so far, which takes the common level out.
    A paired shadow needs four to six times fewer labels.

    Parameters
    ----------
    side : Side
        What it is evidence of.
    weight : float
        The share of rows that the candidate answers, between 0 and 1.
    margin : float, default=0.0
        In units of the loss, between -1 and 1.
    state : CanaryState, optional
        What `state` was, to go on after a restart.

    Raises
    ------
    InvalidError
        If an argument is out of its range, or the state is not one that `state` was.

    Examples
    --------
    >>> harm = CanaryEvidence(Side.HARM, weight=0.5)
    >>> for _ in range(40):
    ...     harm.add(is_candidate=True, loss=1.0)
    ...     harm.add(is_candidate=False, loss=0.0)
    >>> harm.log_value() > 3
    True
    """

    __slots__ = ("_loss", "_n", "_sign", "_wealth", "margin", "side", "weight")

    def __init__(
        self, side: Side, *, weight: float, margin: float = 0.0, state: CanaryState | None = None
    ) -> None:
        check_share("weight", weight)
        check_between("margin", margin, -1, 1)
        self.side, self.weight, self.margin = side, weight, margin
        self._sign = 1.0 if side is Side.HARM else -1.0
        state = CanaryState() if state is None else state
        self._n, self._loss = state.n, state.loss
        self._wealth = check_state(state.wealth, length=N_BETS)
        check_count("labels in the state", state.n)
        if not 0 <= state.loss <= state.n:
            raise InvalidError(f"`state` has a loss of {state.loss} in {state.n} labels")

    @property
    def state(self) -> CanaryState:
        """What is to be kept over a restart."""
        return CanaryState(n=self._n, loss=self._loss, wealth=tuple(self._wealth))

    def add(self, *, is_candidate: bool, loss: float) -> None:
        """Take one label into account.

        Parameters
        ----------
        is_candidate : bool
            Which version had answered.
        loss : float
            In [0, 1]: 1 for a wrong answer, 0 for a right one.

        Raises
        ------
        InvalidError
            If the loss is not in [0, 1].
        """
        check_between("loss", loss, -1e-12, 1 + 1e-12)
        # From the past alone, so that whoever answers next cannot have moved it.
        usual = (self._loss + 0.5) / (self._n + 1)
        share = self.weight if is_candidate else self.weight - 1
        won = self._sign * ((loss - usual) / share - self.margin)
        # The most that this row could lose, whichever version answers and whatever the label is.
        if self.side is Side.HARM:
            most = max(usual / self.weight, (1 - usual) / (1 - self.weight)) + self.margin
        else:
            most = max((1 - usual) / self.weight, usual / (1 - self.weight)) - self.margin
        self._n += 1
        self._loss += loss
        part, log1p = won / most, math.log1p
        self._wealth = [
            had + log1p(courage * part) for had, courage in zip(self._wealth, _COURAGE, strict=True)
        ]

    def log_value(self) -> float:
        """Return the natural logarithm of the e-value."""
        return _log_mean_exp(self._wealth)


def sign_mixture(newly_wrong: int, newly_right: int) -> float:
    """Return the e-value of harm that mixes all shares of newly wrong rows above one half.

    Quicker than the sixteen bets where a candidate is much worse, slower where it is a little
    worse; without a margin.

    Parameters
    ----------
    newly_wrong, newly_right : int
        Rows that only the baseline, and only the candidate, got right.

    Raises
    ------
    InvalidError
        If a count is negative or not whole.

    Examples
    --------
    >>> round(sign_mixture(9, 1), 6)
    18.509091
    """
    check_count("newly_wrong", newly_wrong)
    check_count("newly_right", newly_right)
    b, c = newly_wrong + 1, newly_right + 1
    log = (b + c - 1) * math.log(2) + log_beta(b, c) + log_beta_cdf(0.5, c, b)
    return math.exp(log) if log < 700 else math.inf


def bets_of(side: Side, margin: float) -> tuple[tuple[float, float], ...]:
    """Return for each gambler what a row has to exceed, and what is bet on it."""
    m = margin if side is Side.HARM else -margin
    return tuple((m, courage / (1 + m)) for courage in _COURAGE)


def _log_mean_exp(logs: list[float] | tuple[float, ...]) -> float:
    most = max(logs)
    return most + math.log(sum([math.exp(log - most) for log in logs]) / len(logs))
