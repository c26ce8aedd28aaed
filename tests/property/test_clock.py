"""A time is read as it was meant, or refused; microseconds and times are the same."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent import InvalidError
from detent.domain.clock import format_time, from_us, parse_time, to_us

NOW = datetime(2026, 3, 5, 12, 30, 15, 250, tzinfo=UTC)
ZONES = st.builds(
    lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-14 * 60, 14 * 60)
)
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=ZONES)


def parsed(text: str) -> datetime | InvalidError:
    try:
        return parse_time(text, now=NOW)
    except InvalidError as error:
        return error


class TestReading:
    """A time without a zone is UTC; with one it is that instant."""

    @given(TIMES)
    def test_iso_texts_are_that_instant(self, at: datetime) -> None:
        assert parse_time(at.isoformat(), now=NOW) == at
        assert parse_time(at.isoformat(sep=" "), now=NOW).tzinfo is UTC
        assert parse_time(at, now=NOW) == at

    @given(st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1)))
    def test_without_a_zone_it_is_utc(self, at: datetime) -> None:
        assert parse_time(str(at), now=NOW) == at.replace(tzinfo=UTC)
        assert parse_time(at, now=NOW) == at.replace(tzinfo=UTC)

    @given(st.integers(0, 99_999), st.sampled_from(["s", "min", "m", "h", "d", "w"]))
    def test_ago(self, n: int, unit: str) -> None:
        seconds = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}[unit]
        assert parse_time(f" {n} {unit.upper()} ", now=NOW) == NOW - timedelta(seconds=n * seconds)

    @pytest.mark.parametrize(
        ("text", "at"),
        [
            ("now", NOW),
            ("today", datetime(2026, 3, 5, tzinfo=UTC)),
            ("Yesterday", datetime(2026, 3, 4, tzinfo=UTC)),
            ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
            ("2026-03-02 14:00", datetime(2026, 3, 2, 14, tzinfo=UTC)),
            ("2026-03-02T14:00:00Z", datetime(2026, 3, 2, 14, tzinfo=UTC)),
            ("2026-03-02T14:00:00+02:00", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ],
    )
    def test_examples(self, text: str, at: datetime) -> None:
        assert parse_time(text, now=NOW) == at

    @given(st.text(max_size=30))
    def test_any_text_is_a_time_or_is_refused(self, text: str) -> None:
        at = parsed(text)
        if isinstance(at, InvalidError):
            assert "is not a time" in at.message
            assert at.hint
        else:
            assert at.tzinfo is UTC

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "tomorrowish",
            "-3d",
            "3 years",
            "2026-02-30",
            "999999w",  # before the first year
            "0001-01-01T00:00:00+14:00",
            datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
        ],
    )
    def test_what_is_no_time_is_refused(self, value: str | datetime) -> None:
        with pytest.raises(InvalidError, match="is not a time"):
            parse_time(value, now=NOW)


class TestMicroseconds:
    """Rows keep whole microseconds: no time is rounded."""

    @given(TIMES)
    def test_there_and_back(self, at: datetime) -> None:
        assert from_us(to_us(at)) == at

    @given(TIMES, TIMES)
    def test_they_sort_as_times_do(self, a: datetime, b: datetime) -> None:
        assert (to_us(a) < to_us(b)) == (a < b)

    @given(TIMES)
    def test_people_read_seconds_in_utc(self, at: datetime) -> None:
        assert parse_time(format_time(at), now=NOW) == at.astimezone(UTC).replace(microsecond=0)
