"""The only litellm: one bounded completion, and the process of its own that runs it.

The child has nothing but the provider's key in its environment. Whatever the provider does comes
back as a Reply; nothing here raises for it.
"""

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from time import monotonic
from types import TracebackType
from typing import Any, Self

import httpx

KEY = "REKNIT_LLM_KEY"
#: A mapping answer is a few hundred bytes; a provider that sends more than this is broken.
MAX_ANSWER = 1 << 20
#: The child imports litellm once before it can answer.
START_SECONDS = 60.0
_FRAME = struct.Struct("<I")


class Rung(StrEnum):
    """How the answer's form is asked for, strictest first."""

    SCHEMA = "json_schema"  #: the provider enforces the schema
    OBJECT = "json_object"  #: the provider promises JSON, the prompt tells the schema
    PLAIN = "plain"  #: the prompt alone tells the schema


class Failure(StrEnum):
    """Why there is no text to use."""

    UNREACHABLE = "unreachable"  #: no connection, or it broke
    TIMEOUT = "timeout"  #: not done before the deadline
    OVERLOADED = "overloaded"  #: 429 or 5xx: later perhaps
    FORM = "form_refused"  #: the provider does not take this way of asking for a form
    REFUSED = "refused"  #: key, model or request is not accepted
    CONTEXT = "context_too_long"  #: the prompt does not fit the model
    EMPTY = "empty_answer"  #: no text, or the model declined
    CUT = "answer_cut"  #: the model ran out of output tokens
    BROKEN = "broken_answer"  #: not what the protocol says


#: Trying the same again may help.
AGAIN = frozenset({Failure.UNREACHABLE, Failure.TIMEOUT, Failure.OVERLOADED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One request to one model. `seconds` is the whole time it may take."""

    model: str
    system: str
    user: str
    schema: Mapping[str, Any]
    rung: Rung
    seconds: float
    max_tokens: int
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What came back. `cost` in USD, None where nobody knows."""

    text: str = ""
    failure: Failure | None = None
    message: str = ""
    retry_after: float | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


def complete(call: Call, key: str) -> Reply:
    """Ask once, without retries; every way a provider can fail becomes a Reply."""
    litellm = _litellm()
    ends = monotonic() + call.seconds
    with _client(ends) as client:
        _use(litellm, client)
        try:
            answer = litellm.completion(**_request(call, key))
            return _reply(answer)
        except Exception as error:  # noqa: BLE001 - providers' adapters raise anything, IndexError too
            return _failed(litellm, error, late=monotonic() >= ends)


class Child:
    """The process that asks; started at the first question and again after it had to be killed."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def __call__(self, call: Call) -> Reply:
        """Send the call and wait; a child that is late or dies is a failure like any other."""
        with self._lock:
            fresh = self._process is None
            process = self._process or self._start()
            try:
                _send(process, json.dumps(asdict(call)).encode())
                wait = call.seconds + 2 + (START_SECONDS if fresh else 0)
                return _decoded(_receive(process, monotonic() + wait))
            except TimeoutError:
                self._kill()
                return Reply(failure=Failure.TIMEOUT, message="the model's process was stopped")
            except (OSError, EOFError, ValueError) as error:
                self._kill()
                return Reply(failure=Failure.UNREACHABLE, message=f"its process died: {error}")

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._kill()

    def _start(self) -> "subprocess.Popen[bytes]":
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "engine.llm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={KEY: self._key, "PYTHONCOERCECLOCALE": "0"},
            cwd="/",
        )
        return self._process

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def main() -> None:
    """The child: calls on stdin, replies on stdout, until stdin ends."""
    key = os.environ.get(KEY, "")
    answers = os.fdopen(os.dup(1), "wb")
    # What a library prints must not get between the frames.
    os.dup2(2, 1)
    while len(head := sys.stdin.buffer.read(_FRAME.size)) == _FRAME.size:
        raw = json.loads(sys.stdin.buffer.read(_FRAME.unpack(head)[0]))
        reply = complete(Call(**raw | {"rung": Rung(raw["rung"])}), key)
        body = json.dumps(asdict(reply)).encode()
        answers.write(_FRAME.pack(len(body)) + body)
        answers.flush()


class _Bounded(httpx.BaseTransport):
    """Holds the whole exchange to a deadline and a size; httpx's own timeouts are per read."""

    def __init__(self, ends: float) -> None:
        self._ends = ends
        self._inner = httpx.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        left = max(self._ends - monotonic(), 0.001)
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), left)
        answer = self._inner.handle_request(request)
        stream = _Bytes(answer, self._ends)
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=stream, extensions=answer.extensions
        )

    def close(self) -> None:
        self._inner.close()


class _Bytes(httpx.SyncByteStream):
    def __init__(self, answer: httpx.Response, ends: float) -> None:
        self._answer, self._ends = answer, ends

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        # The transport is sync, so is its stream.
        for chunk in self._answer.stream:  # type: ignore[union-attr]
            size += len(chunk)
            if size > MAX_ANSWER:
                raise httpx.ReadError(f"the answer is longer than {MAX_ANSWER} bytes")
            if monotonic() > self._ends:
                raise httpx.ReadTimeout("the answer took too long")
            yield chunk

    def close(self) -> None:
        self._answer.close()


def _client(ends: float) -> httpx.Client:
    return httpx.Client(transport=_Bounded(ends), follow_redirects=False, trust_env=False)


def _litellm() -> Any:
    # Both keep the import from fetching lists from the internet (trust.md 4.1).
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    return litellm


def _use(litellm: Any, client: httpx.Client) -> None:
    """Make every provider's code use this client and no other."""
    litellm.client_session = client
    litellm.in_memory_llm_clients_cache.flush_cache()
    litellm.llms.custom_httpx.http_handler.HTTPHandler.create_client = lambda _: client


def _request(call: Call, key: str) -> dict[str, Any]:
    form: dict[str, Any] = {}
    if call.rung is Rung.SCHEMA:
        described = {"name": "answer", "strict": True, "schema": dict(call.schema)}
        form = {"response_format": {"type": "json_schema", "json_schema": described}}
    elif call.rung is Rung.OBJECT:
        form = {"response_format": {"type": "json_object"}}
    told = "" if call.rung is Rung.SCHEMA else f"\nJSON Schema:\n{json.dumps(dict(call.schema))}"
    return {
        "model": call.model,
        "messages": [
            {"role": "system", "content": call.system + told},
            {"role": "user", "content": call.user},
        ],
        "api_key": key or None,
        "api_base": call.url or None,
        "timeout": call.seconds,
        "max_tokens": call.max_tokens,
        "temperature": 0,
        "drop_params": True,
        "max_retries": 0,
        "num_retries": 0,
        **form,
    }


def _reply(answer: Any) -> Reply:
    choice = answer.choices[0]
    usage = getattr(answer, "usage", None)
    cost = (getattr(answer, "_hidden_params", None) or {}).get("response_cost")
    text = choice.message.content
    failure = None
    if choice.finish_reason == "length":
        failure = Failure.CUT
    elif not isinstance(text, str) or not text.strip():
        failure = Failure.EMPTY
    return Reply(
        text="" if failure else text,
        failure=failure,
        cost=cost,
        prompt_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
        output_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
    )


def _failed(litellm: Any, error: Exception, *, late: bool) -> Reply:
    """Sort a foreign exception; its text may repeat the key, so only its kind is told."""
    status = getattr(error, "status_code", None)
    name = type(error).__name__
    return Reply(
        failure=_kind(litellm, error, status, late=late),
        message=f"{name}{f' ({status})' if status else ''}",
        retry_after=_retry_after(error),
    )


def _kind(litellm: Any, error: Exception, status: object, *, late: bool) -> Failure:
    if late or isinstance(error, litellm.Timeout):
        return Failure.TIMEOUT
    if isinstance(error, litellm.ContextWindowExceededError):
        return Failure.CONTEXT
    if isinstance(error, litellm.UnsupportedParamsError):
        return Failure.FORM
    if isinstance(error, (litellm.BadRequestError, litellm.UnprocessableEntityError)):
        about = str(error).lower()
        forms = ("response_format", "json_schema", "json_object", "schema")
        return Failure.FORM if any(word in about for word in forms) else Failure.REFUSED
    if isinstance(error, litellm.APIConnectionError) or _lost(error):
        return Failure.UNREACHABLE
    if isinstance(error, litellm.RateLimitError) or status == 429:
        return Failure.OVERLOADED
    if isinstance(status, int) and status >= 500:
        return Failure.OVERLOADED
    return Failure.REFUSED if isinstance(status, int) and status >= 300 else Failure.BROKEN


def _lost(error: BaseException | None) -> bool:
    """Whether the connection is behind the error: litellm calls that a server error too."""
    while error is not None:
        if isinstance(error, httpx.TransportError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _retry_after(error: Exception) -> float | None:
    headers = getattr(error, "litellm_response_headers", None) or {}
    try:
        return float(headers["retry-after"])
    except (TypeError, ValueError, KeyError):
        return None


def _send(process: "subprocess.Popen[bytes]", body: bytes) -> None:
    if process.stdin is None:
        raise OSError("no pipe to the model's process")
    process.stdin.write(_FRAME.pack(len(body)) + body)
    process.stdin.flush()


def _receive(process: "subprocess.Popen[bytes]", ends: float) -> bytes:
    if process.stdout is None:
        raise OSError("no pipe from the model's process")
    pipe, data, size = process.stdout.fileno(), b"", -1
    while size < 0 or len(data) < size:
        if not select.select([pipe], [], [], max(ends - monotonic(), 0))[0]:
            raise TimeoutError
        part = os.read(pipe, 1 << 16)
        if not part:
            raise EOFError("it ended")
        data += part
        if size < 0 and len(data) >= _FRAME.size:
            size, data = _FRAME.unpack_from(data)[0], data[_FRAME.size :]
            if size > 2 * MAX_ANSWER:
                raise ValueError("it answered with too much")
    return data


def _decoded(body: bytes) -> Reply:
    raw = json.loads(body)
    failure = raw.pop("failure")
    return Reply(**raw, failure=Failure(failure) if failure else None)


if __name__ == "__main__":
    main()
