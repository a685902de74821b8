"""Projects on disk: a folder each, with a song, takes, and ``project.json`` that says what they are.

Here belongs everything that touches the projects folder. Names of folders and files are made here and are random; no
text that comes from a browser is ever part of one. A file is written under another name first, and what is in memory
changes only after what is on disk has.
"""

import contextlib
import copy
import logging
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from longdance.errors import InputError, LongdanceError
from longdance.files import atomic_write, user_data_folder
from longdance.studio.forms import LONGEST_NAME
from longdance.studio.states import FORMAT, ProjectState, SongState, TakeState

ID = re.compile(r"[0-9a-f]{16}")
HISTORY = 100
"""Steps that can be undone."""
MOST_TAKES = 200
CLOSED = "the studio was closed before this was finished"
_LOCK = ".studio-lock"

log = logging.getLogger(__name__)


class NotThere(LongdanceError):
    """There is no project, take or job of that id."""


class OutOfTurn(LongdanceError):
    """The request cannot be done as things are now."""


def new_id() -> str:
    """16 hexadecimal digits that nobody guesses."""
    return secrets.token_hex(8)


def shown_name(name: str | None, otherwise: str) -> str:
    """A name as it may be shown: the last part of a path, without control characters, not too long."""
    last = re.split(r"[/\\]", name or "")[-1]
    plain = "".join(letter for letter in last if letter.isprintable()).strip(". ")
    return plain[:LONGEST_NAME].strip() or otherwise


def safe_name(name: str) -> str:
    """A name that may be the name of a file that a browser saves."""
    return re.sub(r'[\\/:*?"<>|]+', "-", name)


class Projects:
    """All projects of a folder, which one studio at a time may use."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock_file = FileLock(folder / _LOCK, thread_local=False)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"{folder}: expected a folder of its own, got one that another studio uses; close that one, or name "
                "another folder with --projects"
            ) from error
        except OSError as error:
            raise InputError(f"{folder}: expected a folder to keep projects in ({error.strerror})") from error
        self._lock = threading.RLock()
        self._projects: dict[str, ProjectState] = {}
        self._restore()

    def close(self) -> None:
        """Let another studio use the folder."""
        self._lock_file.release()

    @property
    def folder(self) -> Path:
        """Where the projects lie."""
        return self._folder

    # --- reading ---

    def all(self) -> list[ProjectState]:
        """Every project, latest first."""
        with self._lock:
            return sorted(self._projects.values(), key=lambda project: project.updated, reverse=True)

    def get(self, project: str) -> ProjectState:
        """A project, not to be changed; ``NotThere`` if there is none of the id."""
        with self._lock:
            if project not in self._projects:
                raise NotThere("there is no such project; it may have been deleted, reload the page")
            return self._projects[project]

    def take(self, project: str, take: str) -> TakeState:
        """A take that is shown; ``NotThere`` if there is none of the id."""
        found = self.get(project)
        if take not in found.shown:
            raise NotThere("there is no such take; it may have been deleted, reload the page")
        return found.takes[take]

    def song_file(self, project: str) -> Path:
        """The song as it is played and danced to."""
        return self._folder / self.get(project).id / "song.flac"

    def upload_file(self, project: str) -> Path:
        """What was uploaded, until it has been listened to."""
        return self._folder / self.get(project).id / "uploaded"

    def takes_folder(self, project: str) -> Path:
        """Where a project's takes lie."""
        return self._folder / self.get(project).id / "takes"

    def take_file(self, project: str, take: str) -> Path:
        """The dance."""
        return self.takes_folder(project) / f"{self.get(project).takes[take].id}.npz"

    def track_file(self, project: str, take: str) -> Path:
        """The dance as the page plays it."""
        return self.take_file(project, take).with_suffix(".track")

    def character_file(self, project: str) -> Path:
        """The character as it was uploaded, called by its kind."""
        state = self.get(project)
        ending = ".vrm" if (state.character or "").lower().endswith(".vrm") else ".glb"
        return self._folder / state.id / f"character{ending}"

    def dressed_file(self, project: str, take: str) -> Path:
        """The character as it dances a take."""
        return self.take_file(project, take).with_suffix(".dressed.glb")

    @contextmanager
    def workroom(self) -> Iterator[Path]:
        """A folder for files on their way out, removed afterwards."""
        room = self._folder / f".out-{new_id()}"
        room.mkdir()
        try:
            yield room
        finally:
            shutil.rmtree(room, ignore_errors=True)

    # --- changing ---

    def create(self, uploaded: Path, *, name: str, song_name: str) -> ProjectState:
        """A project of a song that was uploaded to the temporary file ``uploaded``, which is moved into it."""
        made = now()
        project = ProjectState(id=new_id(), name=name, created=made, updated=made, song=SongState(name=song_name))
        folder = self._folder / project.id
        (folder / "takes").mkdir(parents=True)
        try:
            os.replace(uploaded, folder / "uploaded")
            self._write(project)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._lock:
            self._projects[project.id] = project
        return project

    def upload_path(self) -> Path:
        """A name for a file that is being uploaded."""
        return self._folder / f".in-{new_id()}"

    @contextmanager
    def changing(self, project: str, *, undoable: bool = False) -> Iterator[ProjectState]:
        """A copy of a project to change; it takes the project's place once it has been written to disk.

        ``undoable`` changes can be undone, if they change anything that a user lays down.
        """
        with self._lock:
            before = self.get(project)
            after = before.model_copy(deep=True)
            yield after
            if undoable and (earlier := before.snapshot()) != after.snapshot():
                after.history.undo = [*after.history.undo, earlier][-HISTORY:]
                after.history.redo = []
            self._settle(before, after)

    def step(self, project: str, *, back: bool) -> ProjectState:
        """Undo or redo a step; ``OutOfTurn`` where there is none."""
        with self._lock:
            before = self.get(project)
            after = before.model_copy(deep=True)
            source, target = (
                (after.history.undo, after.history.redo) if back else (after.history.redo, after.history.undo)
            )
            if not source:
                raise OutOfTurn(f"there is nothing to {'undo' if back else 'redo'}")
            target.append(after.snapshot())
            state = source.pop()
            after.restore(state)
            self._settle(before, after)
            return after

    def delete(self, project: str) -> None:
        """Remove a project with everything in it."""
        with self._lock:
            folder = self._folder / self.get(project).id
            # Renamed first: what is half removed is no project any more.
            gone = self._folder / f".gone-{new_id()}"
            os.replace(folder, gone)
            del self._projects[project]
        shutil.rmtree(gone, ignore_errors=True)

    def note_end(self, project: str, note: Callable[[ProjectState], None]) -> None:
        """Write down how a job has ended. If that cannot be written, it is at least not forgotten while this runs."""
        with self._lock:
            if project not in self._projects:
                # Deleted meanwhile; what the job has still written goes as well.
                _remove(self._folder / project)
                return
            before = self._projects[project]
            after = before.model_copy(deep=True)
            note(after)
            try:
                self._settle(before, after)
            except OSError as error:
                log.error("%s: could not be written (%s)", self._folder / project, error.strerror)
                self._projects[project] = after

    def sweep(self, project: str, stem: str, *, keep: tuple[str, ...]) -> None:
        """Remove what a job has left of the files ``stem`` (in the project's folder), but for the endings to keep."""
        place = self._folder / project / stem
        for path in (*place.parent.glob(f"{place.name}*"), *place.parent.glob(f".{place.name}-*")):
            if path.name not in {f"{place.name}{ending}" for ending in keep}:
                path.unlink(missing_ok=True)

    def _settle(self, before: ProjectState, after: ProjectState) -> None:
        """Write a changed project and let it take its place; takes that nothing refers to any more are removed."""
        if after == before:
            return
        kept = {*after.shown, *(take for state in (*after.history.undo, *after.history.redo) for take in state.takes)}
        after.forget_unused_beats()
        dropped = [take for take in after.takes if take not in kept]
        after.takes = {take: state for take, state in after.takes.items() if take in kept}
        after.updated = now()
        self._write(after)
        self._projects[after.id] = after
        for take in dropped:
            for path in (self._folder / after.id / "takes").glob(f"{take}.*"):
                path.unlink(missing_ok=True)

    def _write(self, project: ProjectState) -> None:
        with atomic_write(self._folder / project.id / "project.json") as temporary:
            temporary.write_text(project.model_dump_json(by_alias=True), encoding="utf-8")

    # --- at the start ---

    def _restore(self) -> None:
        """Read all projects; what was under way when the last studio closed has failed, its leftovers go."""
        for folder in sorted(self._folder.iterdir()):
            if re.fullmatch(r"\.(in|out|gone)-[0-9a-f]{16}", folder.name):
                _remove(folder)
            elif ID.fullmatch(folder.name) and folder.is_dir():
                file = folder / "project.json"
                if not file.exists():
                    _remove(folder)  # an upload that was cut off before it was a project
                    continue
                try:
                    project = ProjectState.model_validate_json(file.read_bytes())
                    if project.id != folder.name or not _consistent(project):
                        raise ValueError("it does not fit together")
                except (OSError, ValueError) as error:
                    log.warning("%s: expected a project, left alone (%s)", file, str(error).splitlines()[0])
                    continue
                self._projects[project.id] = project
                self._settle_after_restart(project)

    def _settle_after_restart(self, project: ProjectState) -> None:
        changed = copy.deepcopy(project)
        if changed.song.state == "analysing":
            changed.song.state, changed.song.error = "failed", CLOSED
        for take in changed.takes.values():
            if take.state == "running":
                take.state, take.error = "failed", CLOSED
        folder = self._folder / project.id
        _remove(folder / "uploaded")
        ready = {take.id for take in changed.takes.values() if take.state == "ready"}
        for path in [*folder.glob(".*"), *(folder / "takes").glob("*"), *(folder / "takes").glob(".*")]:
            if path.name.startswith(".") or path.name.split(".")[0] not in ready:
                _remove(path)
        with contextlib.suppress(OSError):  # a full disk is no reason not to show what is there
            self._settle(project, changed)
        self._projects[project.id] = changed


def _consistent(project: ProjectState) -> bool:
    """Whether all ids are such, and every take that is shown is there."""
    states = (project.snapshot(), *project.history.undo, *project.history.redo)
    ids = all(ID.fullmatch(take) and state.id == take for take, state in project.takes.items())
    return project.format == FORMAT and ids and all(set(state.takes) <= project.takes.keys() for state in states)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def now() -> str:
    """The present moment, as it is written down."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def default_folder() -> Path:
    """Where projects lie if nobody says otherwise."""
    return user_data_folder("projects", "LONGDANCE_PROJECTS")
