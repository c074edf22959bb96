"""Why an operation cannot go on. A bad row is no exception: it is an invalid cell in the report.

* EngineError
  x SourceError       the file is not readable as a table (code says why)
  x CompileError      plan and file do not fit together
  x ExecutionError    a child process failed
    + ChildCrashed    the child died (signal, memory)
    + ChildTimeout    the child ran past its time
  x Canceled          the run was canceled while a child was at work
  x MappingError      the model gave no usable answer
    + ModelUnavailable  try again later
  x NotFound          no such record in this scope
  x Expired           it was there, and its time is over
  x Conflict          the record moved on
    + ActiveRun         the company has a run that has not ended
    + AlreadyDecided    somebody decided before
    + ProposalChanged   the decision is about an older proposal
    + ProposalDrift     a decided run came out otherwise than its proposal had shown
    + NotUndoable       the run was undone already, wrote nothing, or its time is over
    + RowsChanged       a run read its rows differently than when it began to store them
    + GivenUp           the run's rows were taken back: it stores none any more
    + QuotaExceeded     the partner used up what it may use
    + Superseded        another worker has taken this turn of the run
  x DecisionInvalid   a decision that fits no question of its proposal
  x SelectionInvalid  a filter no row could be held against
  x DeliveryFailed    a destination takes no rows now
    + CanaryRefused     the first row was refused, and nothing else was sent
  x StorageError      a file could not be stored or read back
    + UploadMismatch    the bytes are not the declared ones
  x SignatureInvalid  a signed URL was changed, is used up or too old
"""

import re
from enum import StrEnum

_COLOURS = re.compile(r"\x1b\[[0-9;]*m|↳")


class EngineError(Exception):
    """The engine cannot go on."""


class SourceCode(StrEnum):
    """Why a file is refused; the API's `failed_reason`."""

    NOT_A_TABLE = "invalid_file_content"  #: no rows and columns can be told
    INVALID_FORMAT = "invalid_format"  #: the bytes are not what the name or plan says
    EMPTY = "empty_file"  #: zero bytes or only white space
    HEADER_ONLY = "no_data_rows"  #: a header and nothing below it
    ENCRYPTED = "encrypted_file"  #: password protected
    BOMB = "archive_bomb"  #: inflates past the limits
    UNSAFE_ARCHIVE = "unsafe_archive"  #: nested archive, link, absolute or `..` name
    UNSAFE_XML = "unsafe_xml"  #: DOCTYPE or entity declaration in a workbook
    TOO_LARGE = "payload_too_large"  #: more bytes than allowed
    TOO_MANY_COLUMNS = "too_many_columns"  #: wider than allowed
    FIELD_TOO_LARGE = "field_too_large"  #: one cell longer than allowed
    UNCLOSED_QUOTE = "unclosed_quote"  #: a quote opened and never closed
    BAD_ENCODING = "bad_encoding"  #: bytes that no supported encoding explains
    NUL_BYTES = "nul_bytes"  #: binary content in a text file
    OPTION = "invalid_read_option"  #: a reading option that cannot be followed
    FOREIGN = "not_of_this_run"  #: rows that the run to be replayed did not reject
    COUNT_MISMATCH = "row_count_mismatch"  #: two independent counts of rows differ


class SourceError(EngineError):
    """The file cannot be read as a table; says which file, where, and what to do."""

    def __init__(self, code: SourceCode, message: str, *, file: str = "", place: str = "") -> None:
        self.code, self.message, self.file, self.place = code, message, file, place
        where = ", ".join(each for each in (file, place) if each)
        super().__init__(f"{where}: {message}" if where else message)

    def __reduce__(self) -> tuple[object, ...]:
        return _source_error, (self.code, self.message, self.file, self.place)


def _source_error(code: SourceCode, message: str, file: str, place: str) -> SourceError:
    return SourceError(code, message, file=file, place=place)


class CompileError(EngineError):
    """The plan does not fit the file's columns or its own templates."""


class ExecutionError(EngineError):
    """A child process failed."""


class ChildCrashed(ExecutionError):
    """The child died from a signal or ran out of memory."""


class ChildTimeout(ExecutionError):
    """The child ran past its time and was killed."""


class Canceled(EngineError):
    """Somebody canceled the run while a child was at work."""


class MappingError(EngineError):
    """The model gave no usable answer."""


class ModelUnavailable(MappingError):
    """The model cannot be reached now."""


class NotFound(EngineError):
    """No such record in this scope."""


class Expired(EngineError):
    """It was there, and its time is over."""


class Conflict(EngineError):
    """The record moved on; read it again."""


class ActiveRun(Conflict):
    """The company has a run that has not ended."""

    def __init__(self, run: str) -> None:
        self.run = run
        super().__init__(f"run {run} of this company has not ended; wait for it or cancel it")


class AlreadyDecided(Conflict):
    """Somebody decided on this proposal before."""


class ProposalChanged(Conflict):
    """The decision is about an older proposal; read the present one."""


class QuotaExceeded(Conflict):
    """The partner used up what it may use."""

    def __init__(self, name: str, *, limit: int) -> None:
        self.name, self.limit = name, limit
        super().__init__(f"the limit of {limit} for {name} is reached")


class NotUndoable(Conflict):
    """The run was undone already, it wrote no rows, or the versions an undo needs are gone."""


class ProposalDrift(Conflict):
    """A decided run came out otherwise than its proposal had shown."""


class RowsChanged(Conflict):
    """Tried again, a run read its rows differently than when it began to store them."""


class GivenUp(Conflict):
    """The run's rows were taken back: it stores none any more."""


class Superseded(Conflict):
    """Another worker has taken this turn of the run; what this one did does not count."""


class DecisionInvalid(EngineError):
    """The decision names a question, an option or a repair that the proposal does not have."""


class SelectionInvalid(EngineError):
    """The filter names a column the sheet does not have, or a value the column cannot hold."""


class DeliveryFailed(EngineError):
    """The destination cannot take rows now; deliver again from the last cursor."""


class CanaryRefused(DeliveryFailed):
    """The destination refused the first row of a sheet; nothing else was sent."""


def gist(error: BaseException) -> str:
    """What a library tells, in one line: no colours of a terminal, no debug output."""
    told = _COLOURS.sub("", str(error)).partition("Debug source:")[0].partition("(Background on")[0]
    return " ".join(told.split())


class StorageError(EngineError):
    """A file could not be stored or read back."""


class UploadMismatch(StorageError):
    """The bytes that came are not the declared ones."""


class SignatureInvalid(EngineError):
    """A signed URL was changed, is used up or too old."""
