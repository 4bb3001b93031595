-- Sends the tokens of the file that is named after `--`, one a request, in turn.
function init(args)
   tokens, at = {}, 0
   for token in io.lines(args[1]) do
      tokens[#tokens + 1] = "Bearer " .. token
   end
end

function request()
   at = at % #tokens + 1
   return wrk.format("GET", nil, { Authorization = tokens[at] })
end

function done(summary, latency)
   io.write(string.format("%8.0f requests/s   p50 %6.0f us   p99 %6.0f us   refused or failed %d\n",
      summary.requests / summary.duration * 1e6, latency:percentile(50), latency:percentile(99),
      summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write))
end
