"""A search finds exactly the versions that have all the words."""

from hypothesis import given, settings
from hypothesis import strategies as st

from detent.blobs.memory import MemoryBlobs
from detent.facade import Registry
from detent.metadata.sqlite import SqliteMetadata
from detent.metadata.versions import search_words
from detent.testing.registries import register_bytes, stores_on

WORDS = st.sampled_from(["trees", "Trees", "more", "ÜBER", "über", "v2", "0.5", "café", "cafe"])
NOTES = st.one_of(st.none(), st.lists(WORDS, min_size=1, max_size=4).map(" ".join))
QUERIES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)


class TestWords:
    """Words are found whole, in any case."""

    @given(st.text())
    def test_words_of_words_are_the_same(self, text: str) -> None:
        words = search_words(text)
        assert words == sorted(set(words))
        assert search_words(" ".join(words)) == words

    @given(st.text())
    def test_case_does_not_count(self, text: str) -> None:
        assert search_words(text.casefold()) == search_words(text)

    @given(st.text(), st.text())
    def test_two_texts_have_the_words_of_both(self, a: str, b: str) -> None:
        assert set(search_words(f"{a} {b}")) == {*search_words(a), *search_words(b)}


class TestSearch:
    """The search index answers as reading all notes would."""

    @settings(max_examples=40)
    @given(st.lists(NOTES, min_size=1, max_size=12), QUERIES, st.data())
    def test_a_search_answers_as_reading_all_would(
        self, notes: list[str | None], query: str, data: st.DataObject
    ) -> None:
        stores = stores_on(SqliteMetadata(None), MemoryBlobs())
        registry = Registry(stores)
        for i, note in enumerate(notes):
            register_bytes(stores, "fraud", b"%d" % i, note=note)
            register_bytes(stores, "wine", b"%d" % i, note=query)
        for number in data.draw(st.sets(st.integers(1, len(notes)), max_size=3)):
            notes[number - 1] = data.draw(QUERIES)
            registry.note(f"fraud/{number}", str(notes[number - 1]))
        deleted = data.draw(st.sets(st.integers(1, len(notes)), max_size=len(notes) - 1))
        for number in deleted:
            registry.delete(f"fraud/{number}")

        wanted = [
            number
            for number in range(len(notes), 0, -1)
            if number not in deleted
            and {*search_words(query)} <= {*search_words(notes[number - 1] or "")}
        ]
        found = [version.number for version in registry.versions("fraud", search=query)]
        assert found == wanted
        below, limit = data.draw(st.integers(1, 14)), data.draw(st.integers(1, 14))
        page = registry.versions("fraud", search=query, below=below, limit=limit)
        assert [v.number for v in page] == [n for n in wanted if n < below][:limit]
        assert len(registry.versions("wine", search=query)) == len(notes)
