"""The ASGI application, cut along its trust boundaries; `wiring` alone names a store."""
