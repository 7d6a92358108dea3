package rediscache

// script compares a plan's facts with what there is and, unless it is only to look,
// flushes and leaves the plan's mark: one step of the server, which nobody else's call
// comes into.
//
// KEYS[1] is the mark. ARGV are "look" or "flush", the run of the server, how many keys
// without a time to live each database had, and whether the server evicts those anyway.
// It answers with a word and a detail.
const script = `
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {'done', 0}
end
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if run ~= ARGV[2] then
  return {'moved', 'it is another run of the server, ' .. tostring(run)}
end
local role = string.match(redis.call('INFO', 'replication'), 'role:(%w+)')
if role ~= 'master' then
  return {'replica', tostring(role)}
end
local policy = string.match(redis.call('INFO', 'memory'), 'maxmemory_policy:([%w-]+)')
local evicts = string.sub(tostring(policy), 1, 8) == 'allkeys-' and 'yes' or 'no'
if evicts ~= ARGV[4] then
  return {'moved', 'the policy is ' .. tostring(policy) .. ' by now'}
end
local planned, total = cjson.decode(ARGV[3]), 0
for db, keys, expires in string.gmatch(redis.call('INFO', 'keyspace'), 'db(%d+):keys=(%d+),expires=(%d+)') do
  local permanent = tonumber(keys) - tonumber(expires)
  if evicts == 'no' and permanent > (planned[db] or 0) then
    return {'moved', 'db' .. db .. ' has ' .. permanent .. ' keys that never expire by now'}
  end
  total = total + tonumber(keys)
end
if ARGV[1] ~= 'flush' then
  return {'same', 0}
end
redis.call('FLUSHALL', 'ASYNC')
redis.call('SET', KEYS[1], ARGV[2], 'EX', 86400)
return {'flushed', total}
`
