"""Runs and their shards. Formats: docs/formats.md."""

import json
import pathlib
import re
import typing

import numpy as np

from thresher.dtypes import SCALED, STORED_DTYPES, decode
from thresher.errors import ReadError
from thresher.safetensors import SafetensorsFile

_FORMAT_VERSION = 1
_COMMIT_NAME = re.compile(r"unit-(\d{6,})\.json")
_SHARD_NAME = re.compile(r"tpu_\d+/unit-\d{6,}-e\d+-[^/]+\.safetensors")


def open_run(location):
    """Opens the run in a local folder, given as a path or a file:// URL.

    The commits are read once, now: open the run again to see what was added since. Raises ReadError
    if there is no run, or if one of its records is damaged.
    """
    if isinstance(location, str) and "://" in location:
        if not location.startswith("file://"):
            raise ReadError(f"{location}: only local folders can be read; copy the run first")
        location = location[len("file://") :]
    return Run(pathlib.Path(location))


class _SequenceFields(typing.NamedTuple):
    sample_index: int
    token_ids: np.ndarray
    rows: np.ndarray


class StoredSequence(_SequenceFields):
    """What rows() yields: a tuple (sample_index, token_ids, rows), and beside it

    positions  int32 [tokens]: the position of each stored token inside its sequence
    part       which sequence of its sample it is; 0 unless samples were split
    """

    def __new__(cls, sample_index, token_ids, rows, positions, part):
        self = super().__new__(cls, sample_index, token_ids, rows)
        self.positions = positions
        self.part = part
        return self


class Run:
    """A run: its description and its committed shards.

    spec         the content of run.json
    hooks        names of the hook points, in the order of the shards
    dtype        stored dtype: "bf16", "f32", "f16", "fp8_e4m3" or "int8"
    fingerprint  identity of the run, repeated in each of its shards
    commits      the commit records, ascending by unit
    unit_count   units of the whole run, committed or not
    rejected     samples that are in no shard although their unit is committed: {index: reason}
    """

    def __init__(self, folder):
        self.folder = folder
        self.spec = _read_json(folder / "run.json", missing="not a run, or not begun yet")
        name = folder / "run.json"
        if _field(self.spec, "format_version", int, name) != _FORMAT_VERSION:
            raise ReadError(
                f"{name}: format version {self.spec['format_version']}; "
                f"this package reads version {_FORMAT_VERSION}"
            )
        self.fingerprint = _field(self.spec, "run_fingerprint", str, name)
        capture = _field(self.spec, "capture", dict, name)
        self.hooks = _field(capture, "hooks", list, name)
        if not all(isinstance(hook, str) for hook in self.hooks):
            raise ReadError(f"{name}: field 'hooks': expected strings")
        self.dtype = _field(capture, "dtype", str, name)
        if self.dtype not in STORED_DTYPES:
            raise ReadError(f"{name}: unknown dtype '{self.dtype}'")
        self.unit_count = len(self._plan_boundaries()) - 1
        self.commits = self._read_commits()
        self.rejected = {
            sample["sample"]: sample["reason"]
            for commit in self.commits
            for sample in commit["rejected"]
        }

    def __len__(self):
        """Sequences stored so far: how many times rows() yields.

        As many as sample_count, unless samples were split into several sequences.
        """
        return sum(commit["sequence_count"] for commit in self.commits)

    def __repr__(self):
        return (
            f"<thresher.Run {str(self.folder)!r}: {self.sample_count} samples, "
            f"{self.token_count} tokens, "
            f"{len(self.hooks)} hook points, {len(self.commits)} of {self.unit_count} units>"
        )

    @property
    def sample_count(self):
        """Samples stored so far."""
        return sum(commit["sample_count"] - len(commit["rejected"]) for commit in self.commits)

    @property
    def token_count(self):
        """Tokens whose rows are stored so far."""
        return sum(commit["token_count"] for commit in self.commits)

    @property
    def forward_token_count(self):
        """Tokens that the model read for them: more than token_count if the run selects tokens."""
        return sum(
            commit.get("forward_token_count", commit["token_count"]) for commit in self.commits
        )

    @property
    def is_complete(self):
        """Whether every unit is committed. Units in quarantine never are."""
        return len(self.commits) == self.unit_count

    def shards(self):
        """Yields the committed shards, ascending by unit. Each is checked as it is opened."""
        for commit in self.commits:
            yield Shard(self, commit)

    def rows(self, hook, raw=False):
        """Yields (sample_index, token_ids, rows) for each sequence, in ascending order of samples.

        A sample is one sequence, unless it was split. `tokens` are those whose rows are stored:
        all, unless the run selects some; a sequence may have none. token_ids is int32 [tokens];
        rows is float32 [tokens, width], or with `raw` the stored elements. What is yielded has
        `.positions`, int32 [tokens], and `.part` too: see StoredSequence. Raises KeyError if the
        run has no such hook point.
        """
        self._check_hook(hook)
        for shard in self.shards():
            yield from shard.rows(hook, raw)

    def _check_hook(self, hook):
        if hook not in self.hooks:
            raise KeyError(f"no hook point '{hook}' in this run; it has {', '.join(self.hooks)}")

    def _plan_boundaries(self):
        path = self.folder / "plan" / (self.fingerprint.rpartition(":")[2] + ".json")
        plan = _read_json(path, missing="the run has no plan yet")
        boundaries = _field(plan, "boundaries", list, path)
        if len(boundaries) < 2:
            raise ReadError(f"{path}: field 'boundaries': expected at least two")
        return boundaries

    def _read_commits(self):
        folder = self.folder / "commits"
        commits = []
        for path in folder.iterdir() if folder.is_dir() else []:
            # Other names are the store's temporary files.
            match = _COMMIT_NAME.fullmatch(path.name)
            if match:
                commits.append(self._read_commit(path, int(match[1])))
        return sorted(commits, key=lambda commit: commit["unit"])

    def _read_commit(self, path, unit):
        commit = _read_json(path)
        for key in ("unit", "bytes", "sample_count", "sequence_count", "token_count"):
            _field(commit, key, int, path)
        # Records from before tokens could be selected lack it.
        if "forward_token_count" in commit:
            _field(commit, "forward_token_count", int, path)
        for sample in _field(commit, "rejected", list, path):
            _field(sample, "sample", int, path)
            _field(sample, "reason", str, path)
        if commit["unit"] != unit:
            raise ReadError(f"{path}: is the record of unit {commit['unit']}")
        if _field(commit, "run", str, path) != self.fingerprint:
            raise ReadError(f"{path}: belongs to another run, {commit['run']}")
        # A record may not point outside the run's folder.
        if not _SHARD_NAME.fullmatch(_field(commit, "shard", str, path)):
            raise ReadError(f"{path}: field 'shard': not the name of a shard: {commit['shard']!r}")
        return commit


class Shard:
    """The activations of one unit, memory-mapped.

    commit            the unit's commit record
    path              the file
    token_ids         int32 [tokens]: those whose rows are stored
    positions         int32 [tokens]: position inside the sequence, rising from 0 if all are stored
    sequence_offsets  int64 [sequences + 1]: sequence s is rows offsets[s] to offsets[s + 1]
    sample_index      int64 [sequences]: the sample of each sequence; neighbours of a split sample
                      are equal
    sample_keys       list of str [sequences]: "task_id" or "id" of the sample's record, or ""
    """

    def __init__(self, run, commit):
        self.run = run
        self.commit = commit
        self.path = run.folder / commit["shard"]
        self._file = SafetensorsFile(self.path)
        self._check_identity()
        tokens, sequences = commit["token_count"], commit["sequence_count"]
        self.token_ids = self._small("token_ids", "I32", tokens)
        self.positions = self._small("positions", "I32", tokens)
        self.sequence_offsets = self._small("sequence_offsets", "I64", sequences + 1)
        self.sample_index = self._small("sample_index", "I64", sequences)
        self.sample_keys = self._sample_keys()
        self._check_offsets()
        for hook in run.hooks:
            self._check_hook_tensors(hook)

    def __len__(self):
        """Sequences in the shard."""
        return len(self.sample_index)

    def __repr__(self):
        return (
            f"<thresher.Shard unit {self.commit['unit']}: {len(self)} sequences, "
            f"{len(self.token_ids)} tokens>"
        )

    def __getitem__(self, hook):
        """float32 [tokens, width]. Raises KeyError if the run has no such hook point."""
        return self.tensor(hook)

    def tensor(self, hook, raw=False):
        """float32 [tokens, width]; with `raw` the stored elements, a read-only view of the file.

        Raw bf16 comes as uint16 and fp8_e4m3 as uint8; raw fp8_e4m3 and int8 still need scale().
        """
        return self._rows(hook, slice(None), raw)

    def scale(self, hook):
        """float32 [tokens] for the dtypes fp8_e4m3 and int8; None for the others."""
        self.run._check_hook(hook)
        if STORED_DTYPES[self.run.dtype] not in SCALED:
            return None
        return self._file.array(hook + ".scale")

    def rows(self, hook, raw=False):
        """Yields (sample_index, token_ids, rows) for each sequence; see Run.rows."""
        previous, part = None, 0
        for sequence, sample in enumerate(self.sample_index.tolist()):
            part = part + 1 if sample == previous else 0
            previous = sample
            begin, end = self.sequence_offsets[sequence : sequence + 2].tolist()
            span = slice(begin, end)
            yield StoredSequence(
                sample,
                self.token_ids[span],
                self._rows(hook, span, raw),
                self.positions[span],
                part,
            )

    def _rows(self, hook, part, raw):
        self.run._check_hook(hook)
        elements = self._file.array(hook)[part]
        if raw:
            return elements
        scale = self.scale(hook)
        return decode(elements, self._file.dtype(hook), None if scale is None else scale[part])

    def _fail(self, message):
        raise ReadError(f"{self.path}: {message}")

    def _check_identity(self):
        file_bytes = self.path.stat().st_size
        if file_bytes != self.commit["bytes"]:
            self._fail(f"expected {self.commit['bytes']} bytes, found {file_bytes}")
        for key, expected in (
            ("format_version", str(_FORMAT_VERSION)),
            ("run", self.run.fingerprint),
            ("unit", str(self.commit["unit"])),
        ):
            found = self._file.metadata.get(key)
            if found != expected:
                self._fail(f"metadata '{key}': expected {expected!r}, found {found!r}")

    def _check_tensor(self, name, dtype, shape):
        """`shape` with None for any extent."""
        if name not in self._file:
            self._fail(f"has no tensor '{name}'")
        found = self._file.shape(name)
        fits = len(found) == len(shape) and all(e in (None, f) for e, f in zip(shape, found))
        if self._file.dtype(name) != dtype or not fits:
            self._fail(
                f"tensor '{name}': expected {dtype} {list(shape)}, "
                f"found {self._file.dtype(name)} {list(found)}"
            )

    def _check_hook_tensors(self, hook):
        dtype = STORED_DTYPES[self.run.dtype]
        tokens = self.commit["token_count"]
        self._check_tensor(hook, dtype, (tokens, None))
        if dtype in SCALED:
            self._check_tensor(hook + ".scale", "F32", (tokens,))

    def _small(self, name, dtype, extent):
        """A copy: small, aligned, and free of the mapping."""
        self._check_tensor(name, dtype, (extent,))
        return np.array(self._file.array(name))

    def _sample_keys(self):
        try:
            keys = json.loads(self._file.metadata.get("sample_keys", "null"))
        except (ValueError, RecursionError):
            keys = None
        if not isinstance(keys, list) or len(keys) != len(self.sample_index):
            self._fail(f"metadata 'sample_keys': expected a list of {len(self.sample_index)}")
        return keys

    def _check_offsets(self):
        offsets = self.sequence_offsets
        if offsets[0] != 0 or offsets[-1] != len(self.token_ids) or (np.diff(offsets) < 0).any():
            self._fail(
                f"sequence_offsets: expected values that rise from 0 to {len(self.token_ids)}"
            )


def _read_json(path, missing="missing"):
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReadError(f"{path}: {missing}") from None
    except OSError as error:
        raise ReadError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ReadError(f"{path}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ReadError(f"{path}: expected a JSON object")
    return value


def _field(record, key, kind, path):
    value = record.get(key) if isinstance(record, dict) else None
    if type(value) is not kind or (kind is int and value < 0):
        raise ReadError(f"{path}: field '{key}': expected {kind.__name__}, found {value!r:.80}")
    return value
