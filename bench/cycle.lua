-- One whole cycle after another, on one connection a thread: first request, poll (pending),
-- decision, poll (token). Argument: a file with four messages a client, in that order; all but
-- the first lack the code, which belongs at their end.
local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } instant;
  int clock_gettime(int clock, instant *now);
]]
local MONOTONIC = ffi.os == "OSX" and 6 or 1
local EXPECTED = {"deferral_code", "authorization_pending", "{}", "access_token"}

local messages, step, code, began = {}, 1, nil, 0
local threads = {}
local instant = ffi.new("instant")

local function now()
  ffi.C.clock_gettime(MONOTONIC, instant)
  return tonumber(instant.seconds) + tonumber(instant.nanoseconds) / 1e9
end

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init(args)
  took, odd = {}, 0
  local all = {}
  local file = assert(io.open(args[1], "rb"))
  for line in file:lines() do
    all[#all + 1] = file:read(tonumber(line))
  end
  file:close()
  local first = (number * 4) % #all
  for n = 1, 4 do
    messages[n] = all[first + n]
  end
end

-- wrk calls this once more than it sends: it only tells the step, the answer moves it.
function request()
  if step == 1 then
    began = now()
    return messages[1]
  end
  return messages[step] .. code
end

function response(status, headers, body)
  if not body:find(EXPECTED[step], 1, true) then
    odd = odd + 1
    step = 1
    return
  end
  if step == 1 then
    code = body:match('"deferral_code":"([%w_-]+)"')
  elseif step == 4 then
    took[#took + 1] = now() - began
  end
  step = step % 4 + 1
end

function done(summary, latency, requests)
  local all, odd = {}, 0
  for _, thread in ipairs(threads) do
    odd = odd + thread:get("odd")
    for _, seconds in ipairs(thread:get("took")) do
      all[#all + 1] = seconds
    end
  end
  table.sort(all)
  local function percentile(part)
    return (all[math.max(1, math.ceil(#all * part))] or 0) * 1e3
  end
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %.6f, "bytes": %d, "refused": %d, "broken": %d, '
      .. '"odd": %d, "exhausted": 0, "p50_ms": %.4f, "p99_ms": %.4f}\n',
    #all, summary.duration / 1e6, summary.bytes, summary.errors.status, broken,
    odd, percentile(0.5), percentile(0.99)))
end
