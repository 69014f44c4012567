-- Sends the requests of a file in turn. Arguments: the file, "once" (stop at its end) or "turn",
-- and a text that every answer must hold ("-": answers are not looked at, which is faster).
local messages, position, odd = {}, 0, 0
local once, expected
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  once = args[2] == "once"
  if args[3] ~= "-" then
    expected = args[3]
    response = check
  end
  local file = assert(io.open(args[1], "rb"))
  for line in file:lines() do
    messages[#messages + 1] = file:read(tonumber(line))
  end
  file:close()
end

function request()
  position = position + 1
  if position > #messages then
    if once then
      exhausted = 1
      wrk.thread:stop()
    end
    position = 1
  end
  return messages[position]
end

function check(status, headers, body)
  if not body:find(expected, 1, true) then
    odd = odd + 1
    odd_answers = odd
  end
end

function done(summary, latency, requests)
  local odd, exhausted = 0, 0
  for _, thread in ipairs(threads) do
    odd = odd + (thread:get("odd_answers") or 0)
    exhausted = exhausted + (thread:get("exhausted") or 0)
  end
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "bytes": %d, "refused": %d, "broken": %d, '
      .. '"odd": %d, "exhausted": %d, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, summary.errors.status, broken,
    odd, exhausted, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
