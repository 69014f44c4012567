"""Traces of requests, by OpenTelemetry (extra `otel`), configured by its own OTEL_ variables.

One span a request, with the stable names for HTTP. What stands in it is fixed: method, route,
status. No path as it was sent, no query, no body, no address, no handle, client or person: a
tracing system is read by more people than a console (OAUTH-LOG-01).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from abeyance import __version__
from abeyance.server.http import TRACE_ID, Endpoint, Receive, Scope, Send
from abeyance.server.proxies import Network, is_proxy
from abeyance.server.settings_values import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "_OTHER"  # as the conventions spell what somebody has made up
_CARRIED: Final = frozenset({b"traceparent", b"tracestate"})


class Tracing:
    """Spans of one server; `traces` of its house. `trusted`: whose trace is continued."""

    __slots__ = ("_provider", "_tracer", "_trusted")

    def __init__(self, provider: "TracerProvider", trusted: Sequence[Network]) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("abeyance", __version__)
        self._trusted = trusted

    def current(self) -> str | None:
        """The span that is being recorded, as a traceparent."""
        from opentelemetry.trace import get_current_span

        span = get_current_span()
        context = span.get_span_context()
        if not span.is_recording():
            return None
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def link(self, traceparent: str) -> None:
        """Link the current span to one that may be days old."""
        from opentelemetry.trace import get_current_span

        first = get_current_span(_read({"traceparent": traceparent})).get_span_context()
        if first.is_valid:
            get_current_span().add_link(first)

    async def answer(
        self, endpoint: Endpoint, route: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer within a span. `route`: one of ours, or none."""
        from opentelemetry.trace import SpanKind, StatusCode

        method = scope["method"] if scope["method"] in _METHODS else _OTHER
        said = {"http.request.method": method}
        if route is not None:
            said["http.route"] = route
        with self._tracer.start_as_current_span(
            method if route is None else f"{method} {route}",
            context=self._context(scope),
            kind=SpanKind.SERVER,
            attributes=said,
            record_exception=False,  # its text might be what was sent
            set_status_on_exception=False,
        ) as span:
            if span.is_recording():
                scope[TRACE_ID] = f"{span.get_span_context().trace_id:032x}"

            async def noted(message: Any) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        span.set_attribute("error.type", str(status))
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await endpoint(scope, receive, noted)

    def close(self) -> None:
        """Send what is left; may take some seconds."""
        self._provider.shutdown()

    def _context(self, scope: Scope) -> "Context":
        """A stranger's trace is not continued: it would decide what we record."""
        client = scope.get("client")
        if client is None or not is_proxy(client[0], self._trusted):
            return _read({})
        return _read(
            {
                name.decode(): value.decode("latin-1")
                for name, value in scope["headers"]
                if name in _CARRIED
            }
        )


def open_tracing(trusted: Sequence[Network]) -> Tracing:
    """Export to where the OTEL_ variables say. Raises `ConfigurationError` without the extra."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        raise ConfigurationError(
            "server.tracing",
            f"needs the package {missing.name}",
            'Install it: pip install "abeyance[server,otel]".',
        ) from None
    resource = Resource.create()
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "abeyance"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider, trusted)


def _read(carrier: Mapping[str, str]) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(carrier, context=Context())
