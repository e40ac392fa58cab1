-- Units: milliseconds going in; the result is in requests, seconds and microseconds.
-- Sends the requests of many people in turn. Arguments: file of Cookie headers, what to send, path, milliseconds since those people signed in.

local heads = {}
local kind, since_ms
local turn, round = 0, 0

local view = '{"kind":"beat","seq":%d,"tab":"t1","view":"v%d","page":"/reports/quarter-3","title":"The third quarter",'
  .. '"visibleMs":%d,"activeMs":%d,"scrollPct":42.5,"idleMs":300,"lifecycle":"active"}'

local function head(method, path, cookie)
  local lines = {
    method .. " " .. path .. " HTTP/1.1",
    "Host: " .. wrk.host .. ":" .. wrk.port,
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) benchmark",
    "Accept: */*",
    "Sec-Fetch-Site: same-origin",
    "Cookie: " .. cookie,
  }
  if method == "POST" then
    lines[#lines + 1] = "Origin: http://" .. wrk.host .. ":" .. wrk.port
    lines[#lines + 1] = "Content-Type: application/json"
  end
  return table.concat(lines, "\r\n") .. "\r\n"
end

function init(args)
  kind, since_ms = args[2], tonumber(args[4])
  local method = kind == "get" and "GET" or "POST"
  for line in io.lines(args[1]) do
    heads[#heads + 1] = head(method, args[3], line)
    if kind == "get" then
      heads[#heads] = heads[#heads] .. "\r\n"
    elseif kind == "empty" then
      heads[#heads] = heads[#heads] .. "Content-Length: 0\r\n\r\n"
    elseif kind == "touch" then
      heads[#heads] = heads[#heads] .. "Content-Length: 12\r\n\r\n" .. '{"idleMs":0}'
    end
  end
  turn = since_ms % #heads -- so that one run goes on about where another would be
end

function request()
  turn = turn + 1
  if turn > #heads then
    turn, round = 1, round + 1
  end
  if kind ~= "view" then
    return heads[turn]
  end
  local total = since_ms + round
  local body = view:format(total, turn, total, total / 2)
  return heads[turn] .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency)
  local errors = summary.errors
  io.write(
    string.format(
      'RESULT {"requests":%d,"seconds":%f,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n',
      summary.requests,
      summary.duration / 1e6,
      latency:percentile(50),
      latency:percentile(99),
      errors.status,
      errors.connect + errors.read + errors.write + errors.timeout
    )
  )
end
