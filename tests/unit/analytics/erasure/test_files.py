"""Files of erased sessions: found by name or content, whatever their size; recovery stores are written anew."""

import sqlite3

from analytics.erasure.files import PIECE, contains, delete_files, scrub_recovery_stores
from runtime.settings import Settings

WORD = "0b5c7a1e9d3f4c2a8e6d5b4a"


def test_a_word_is_found_across_pieces(tmp_path):
    path = tmp_path / "file"
    for at in (0, PIECE - 5, PIECE, 2 * PIECE + 7):
        path.write_bytes(b"." * at + WORD.encode() + b"." * 9)
        assert contains(path, WORD.encode()), at
        assert not contains(path, b"another word")
    assert not contains(tmp_path / "none", b"x")


def test_files_go_by_name_or_content(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    settings = Settings.from_env({}, data_dir=tmp_path / "data", erase_in=str(elsewhere))
    gone = [
        tmp_path / "data" / "reports" / f"{WORD}.png",
        tmp_path / "data" / "recordings" / "deep" / "talk.afr",
        elsewhere / "page.html",
    ]
    stays = [tmp_path / "data" / "reports" / "other.png", tmp_path / "data" / "unrelated", elsewhere / "x"]
    for path in (*gone, *stays):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("nothing")
    gone[1].write_text(f"a recording of {WORD}")
    gone[2].write_text(WORD)
    assert delete_files(settings, [WORD]) == 3
    assert delete_files(settings, [WORD]) == 0
    assert delete_files(settings, []) == 0
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stays)


def test_deleted_rows_leave_no_byte_in_a_recovery_store(tmp_path):
    folder = tmp_path / "fusion" / "0-1"
    folder.mkdir(parents=True)
    store = sqlite3.connect(folder / "part-0.sqlite3")
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("CREATE TABLE snaps (key TEXT, state BLOB)")
    for n in range(50):
        store.execute("INSERT INTO snaps VALUES (?, ?)", (str(n), WORD.encode() * 50))
    store.commit()
    store.execute("DELETE FROM snaps WHERE key < '4'")
    store.execute("UPDATE snaps SET state = x'00'")
    store.commit()
    assert any(contains(path, WORD.encode()) for path in folder.iterdir())
    assert scrub_recovery_stores(tmp_path, [WORD.encode()]) == 1
    assert not any(contains(path, WORD.encode()) for path in folder.iterdir())
    # Who has it open goes on.
    store.execute("INSERT INTO snaps VALUES ('new', x'01')")
    store.commit()
    store.close()


def test_stores_that_were_set_aside_go_if_they_hold_the_session(tmp_path):
    for name, content in (("0-5.replaced-1", WORD), ("0-5.replaced-2", "others")):
        (tmp_path / "fusion" / name).mkdir(parents=True)
        (tmp_path / "fusion" / name / "part-0.sqlite3").write_text(content)
    assert scrub_recovery_stores(tmp_path, [WORD.encode()]) == 1
    assert [path.name for path in (tmp_path / "fusion").iterdir()] == ["0-5.replaced-2"]
