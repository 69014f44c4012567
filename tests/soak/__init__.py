"""A real server process under mixed traffic for hours of its own time.

`server` is the process, whose clock goes as far as the requests that come say; `afar` is the
`Served` of the other tests, but over HTTP to that process; `traffic` is what callers do.
"""
