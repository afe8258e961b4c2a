/** What the Redis log does inside Redis: scripts, each of them atomic. */
import { createHash } from "node:crypto";
import { EPOCHS_KEPT } from "./history.ts";
import { MAX_SINCE_BYTES } from "./log.ts";

export interface Script {
  readonly text: string;
  readonly sha: string;
}

function script(...parts: string[]): Script {
  const text = parts.join("\n");
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/**
 * A channel's keys are three: `meta`, a hash of counters; `posts`, a hash of registers by post id; `order`, a sorted
 * set of post ids by the seq of their last change. A register is `<at> <seq> <s|h|r> <version|-> <changed ms> <content>`:
 * shown, hidden, removed.
 */
const PRELUDE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Numbers go up to 2^53, and Lua would write them with an exponent.
local function text(number) return string.format('%.0f', number) end

-- The run of the server that may have lost what another acknowledged: another process, or another line of replication.
local function run()
  local server = redis.call('INFO', 'server'):match('run_id:(%w+)') or ''
  local line = redis.call('INFO', 'replication'):match('master_replid:(%w+)') or ''
  return server .. ':' .. line
end

local function put(key, c)
  redis.call('HSET', key, 'seq', text(c.seq), 'at', text(c.at), 'floor', text(c.floor), 'run', c.run,
    'epochs', table.concat(c.epochs, ' '), 'count', text(c.count))
end

-- The channel, or nil. If any of its keys was evicted it has forgotten everything, and says so: a history made anew.
local function load(meta, posts, order, epoch)
  local m = redis.call('HMGET', meta, 'seq', 'at', 'floor', 'run', 'epochs', 'count')
  local count, ordered = redis.call('HLEN', posts), redis.call('ZCARD', order)
  if not m[6] and count == 0 and ordered == 0 then return nil end
  if m[6] and tonumber(m[6]) == count and count == ordered then
    local epochs = {}
    for word in m[5]:gmatch('%S+') do epochs[#epochs + 1] = word end
    return { seq = tonumber(m[1]), at = tonumber(m[2]), floor = tonumber(m[3]), run = m[4], epochs = epochs, count = count }
  end
  redis.call('DEL', meta, posts, order)
  local fresh = { seq = 0, at = 0, floor = 0, run = run(), epochs = { epoch, '0' }, count = 0 }
  put(meta, fresh)
  redis.call('PEXPIRE', meta, ARGV[2])
  return fresh
end

local function head(c) return c.epochs[#c.epochs - 1] .. '.' .. text(c.seq) end

local function parse(packed)
  local at, seq, kind, version, changed, start = packed:match('^(%d+) (%d+) (%a) (%S+) (%d+) ()')
  return { at = tonumber(at), seq = tonumber(seq), kind = kind, version = version, changed = tonumber(changed), start = start }
end
`;

/**
 * KEYS: idempotency key, meta, posts, order. ARGV: name for a new epoch, max age in ms, name and name before of the
 * epoch of channels never written (empty: not known), max posts, command to announce with (or empty), channel to announce
 * on, fingerprint (empty: no key), ms that keys are kept, number of renders; of each: id, `s` or `h`, version or `-`,
 * content; then the ids removed.
 *
 * Answers `["unknown"]` (a first update needs the names of the zero epoch), `["before", fingerprint, cursor]`,
 * `["same", cursor]`, or `["done", cursor, [id, at, …], [id removed, …], 1 when announced]`.
 */
export const APPEND: Script = script(
  PRELUDE,
  `
local known, meta, posts, order = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, maxAge, zero, zeroBefore, maxPosts = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local announce, group, print, keysKept, renders = ARGV[6], ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10])

if print ~= '' then
  local before = redis.call('GET', known)
  if before then
    local theirs, cursor = before:match('^(%S+) (%S+)$')
    return { 'before', theirs, cursor }
  end
end

local c = load(meta, posts, order, epoch)
if not c then
  if zero == '' then return { 'unknown' } end
  c = { seq = 0, at = 0, floor = 0, run = '', epochs = { zeroBefore, '0', zero, '1' }, count = 0 }
end

local function finish(answer)
  if print ~= '' then redis.call('SET', known, print .. ' ' .. answer[2], 'PX', keysKept) end
  return answer
end

local seq, at = c.seq + 1, c.at
local changed = {}
for i = 11, 10 + 4 * renders, 4 do
  local id, kind, version, content = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local packed = redis.call('HGET', posts, id)
  local r = packed and parse(packed)
  local older = r and version ~= '-' and r.version ~= '-' and tonumber(version) < tonumber(r.version)
  local same = r and r.kind == kind and r.version == version and packed:sub(r.start) == content
  if not older and not same then
    local place
    if r and r.kind ~= 'r' then place = r.at else at = at + 1; place = at end
    if version == '-' and r then version = r.version end
    changed[#changed + 1] = { id = id, at = place, kind = kind, version = version, content = content }
  end
end
for i = 11 + 4 * renders, #ARGV do
  local packed = redis.call('HGET', posts, ARGV[i])
  local r = packed and parse(packed) or { at = 0, version = '-' }
  if r.kind ~= 'r' then
    changed[#changed + 1] = { id = ARGV[i], at = r.at, kind = 'r', version = r.version, content = '' }
  end
end
if #changed == 0 then return finish({ 'same', head(c) }) end

local present = run()
if c.run ~= present then
  c.run = present
  c.epochs[#c.epochs + 1] = epoch
  c.epochs[#c.epochs + 1] = text(seq)
  while #c.epochs > ${2 * EPOCHS_KEPT} do table.remove(c.epochs, 1) end
end
c.seq, c.at = seq, at
for _, r in ipairs(changed) do
  local packed = text(r.at) .. ' ' .. text(seq) .. ' ' .. r.kind .. ' ' .. r.version .. ' ' .. text(now) .. ' ' .. r.content
  c.count = c.count + redis.call('HSET', posts, r.id, packed)
  redis.call('ZADD', order, text(seq), r.id)
end

-- The oldest go, never what came just now; whoever is not past them cannot be answered any more.
while true do
  local id = redis.call('ZRANGE', order, 0, 0)[1]
  local r = parse(redis.call('HGET', posts, id))
  if r.seq == seq or (c.count <= maxPosts and r.changed >= now - maxAge) then break end
  redis.call('HDEL', posts, id)
  redis.call('ZREM', order, id)
  c.count = c.count - 1
  c.floor = r.seq
end

put(meta, c)
for _, key in ipairs({ meta, posts, order }) do redis.call('PEXPIRE', key, maxAge) end

local places, removed, parts, gone = {}, {}, {}, {}
table.sort(changed, function(a, b) return a.at < b.at end)
for _, r in ipairs(changed) do
  if r.kind == 'r' then
    removed[#removed + 1] = r.id
    gone[#gone + 1] = cjson.encode(r.id)
  else
    places[#places + 1] = r.id
    places[#places + 1] = text(r.at)
    if announce ~= '' then
      local shown = r.kind == 's'
      local html = r.content
      if not shown then
        local id = r.id:gsub('[&"<>]', function(char) return '&#' .. char:byte() .. ';' end)
        html = '<div class="live-post" data-post-id="' .. id .. '"></div>'
      end
      parts[#parts + 1] = cjson.encode(r.id) .. ':{"show":' .. tostring(shown) .. ',"content":' .. cjson.encode(html) ..
        ',"at":' .. text(r.at) .. '}'
    end
  end
end
local cursor = head(c)
local announced = 0
if announce ~= '' then
  -- It may be refused (by an access list, or in a cluster): the update is safe all the same.
  local receivers = redis.pcall(announce, group, '{"renders":{' .. table.concat(parts, ',') .. '},"removals":[' .. table.concat(gone, ',') ..
    '],"cursor":"' .. cursor .. '"}')
  if type(receivers) == 'number' then announced = 1 end
end
return finish({ 'done', cursor, places, removed, announced })
`,
);

/**
 * KEYS: meta, posts, order. ARGV: name for a new epoch, max age in ms, epoch and seq of a cursor (an empty epoch: from the
 * beginning, without what was removed).
 *
 * Answers nil, or `[seq, floor, epochs, [id, register, …]]`, the registers in the order of their seq: none when the epoch
 * is unknown, and one more than fit into an answer when there are more.
 */
export const SINCE: Script = script(
  PRELUDE,
  `
local c = load(KEYS[1], KEYS[2], KEYS[3], ARGV[1])
if not c then return nil end
local epoch, after = ARGV[3], ARGV[4]
local found = {}
local holds = epoch == ''
for i = 1, #c.epochs, 2 do holds = holds or c.epochs[i] == epoch end
local bytes, last, offset, more = 0, nil, 0, holds
while more do
  local ids = redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. after, '+inf', 'LIMIT', offset, 200)
  offset, more = offset + #ids, #ids == 200
  for _, id in ipairs(ids) do
    local packed = redis.call('HGET', KEYS[2], id)
    local r = parse(packed)
    if epoch ~= '' or r.kind ~= 'r' then
      local size = #packed - r.start + 1
      found[#found + 1] = id
      found[#found + 1] = packed
      if last and last ~= r.seq and bytes + size > ${MAX_SINCE_BYTES} then more = false; break end
      bytes, last = bytes + size, r.seq
    end
  end
end
return { text(c.seq), text(c.floor), table.concat(c.epochs, ' '), found }
`,
);

/** KEYS: meta, posts, order of each channel. ARGV: name for a new epoch, max age in ms. Answers the cursors; empty for channels never written. */
export const HEADS: Script = script(
  PRELUDE,
  `
local heads = {}
for i = 1, #KEYS, 3 do
  local c = load(KEYS[i], KEYS[i + 1], KEYS[i + 2], ARGV[1])
  heads[#heads + 1] = c and head(c) or ''
end
return heads
`,
);

/**
 * KEYS: one. ARGV: a random name, max age in ms. Answers the name of the epoch of channels never written, and its name
 * before.
 *
 * A cursor of it says: nothing had been written when I was given. So it must end whenever Redis may have forgotten that
 * something was: when its key is gone, when keys were evicted, and before any channel written since can have expired.
 */
export const ZERO: Script = script(
  PRELUDE,
  `
local evicted = redis.call('INFO', 'stats'):match('evicted_keys:(%d+)') or '0'
local present = run()
local kept = redis.call('GET', KEYS[1]) or ''
local name, theirRun, theirEvicted = kept:match('^(%S+) (%S+) (%d+)$')
local restarted = theirRun ~= present
if not name or (restarted and evicted ~= '0') or (not restarted and evicted ~= theirEvicted) then name = ARGV[1] end
local value = name .. ' ' .. present .. ' ' .. evicted
if value ~= kept then redis.call('SET', KEYS[1], value) end
local span = math.floor(now / (tonumber(ARGV[2]) / 2))
local function spanName(n) return redis.sha1hex(name .. ' ' .. text(n)):sub(1, 16) end
return { spanName(span), spanName(span - 1) }
`,
);
