-- Units: *_at and now are milliseconds since 1970; all else that is counted is milliseconds. What the scripts share; each has it in front.
-- A session is packed as its head (one byte with the length of the proof, then the proof: the bytes of `id_hash`) and nine values of
-- msgpack. Its instants are kept as spans since created_at, which are shorter.

-- 2^52, beyond any instant: in the index, those who have ended stand below zero.
local ENDED = 4503599627370496

-- Far longer than anything is wanted: what nobody used for so long is litter.
local LITTER = 34560000000
local DAY = 86400000

local function head_of(raw)
  return string.sub(raw, 1, string.byte(raw) + 1)
end

local function read_session(raw)
  local head = head_of(raw)
  local _, subject, attributes, created_at, idle_timeout, absolute, active, seen, ended, ended_by =
    cmsgpack.unpack_limit(raw, 9, #head)
  return {
    head = head,
    subject = subject,
    attributes = attributes,
    created_at = created_at,
    idle_timeout = idle_timeout,
    absolute_end_at = created_at + absolute,
    last_active_at = created_at + active,
    last_seen_at = created_at + seen,
    ended_at = ended and created_at + ended,
    ended_by = ended_by,
  }
end

local function write_session(session)
  local created_at = session.created_at
  return session.head .. cmsgpack.pack(
    session.subject,
    session.attributes,
    created_at,
    session.idle_timeout,
    session.absolute_end_at - created_at,
    session.last_active_at - created_at,
    session.last_seen_at - created_at,
    session.ended_at and session.ended_at - created_at,
    session.ended_by
  )
end

local function deadline(session)
  return math.min(session.last_active_at + session.idle_timeout, session.absolute_end_at)
end

-- When and why it ended, or nil while it lives. A lapsed session ended at its deadline.
local function ending(session, now)
  if session.ended_at then
    return session.ended_at, session.ended_by
  end
  local over_at = deadline(session)
  if now < over_at then
    return nil
  end
  return over_at, over_at == session.absolute_end_at and 'absolute' or 'idle'
end

-- Whether somebody archives what changes: the counter is there, whoever asks. One who archives itself knows without it.
local function is_archived(keys)
  return keys.archives or redis.call('EXISTS', keys.counter) == 1
end

-- The handle waits for the archive, where there is one.
local function mark(keys, handle)
  if not is_archived(keys) then
    return
  end
  local number = redis.call('INCR', keys.counter)
  if number == 1 then
    redis.call('PEXPIRE', keys.counter, LITTER)
  end
  if redis.call('ZADD', keys.marks, number, handle) == 1 then
    redis.call('PEXPIRE', keys.marks, LITTER)
  end
end

-- Keeps and tells the end of a session that had none; gives back the record as it is kept.
local function record_end(keys, channel, handle, session, at, by)
  session.ended_at, session.ended_by = at, by
  local raw = write_session(session)
  redis.call('HSET', keys.sessions, handle, raw)
  redis.call('ZADD', keys.index, at - ENDED, handle)
  mark(keys, handle)
  redis.call('PUBLISH', channel, handle)
  return raw
end

-- A grant is kept as version, check_at and document, with a space after each number.
local function version_of(grant)
  return tonumber(string.match(grant, '^%d+'))
end

local function put_off(grant, check_at)
  local version, document = string.match(grant, '^(%d+) %S+ (.*)$')
  return version .. ' ' .. check_at .. ' ' .. document
end

-- A key lives on at least so long after the last use foreseen for it; never less than it would have.
local function outlive(key, span, margin)
  margin = margin or LITTER
  if redis.call('PTTL', key) < span + margin then
    redis.call('PEXPIRE', key, math.max(span, 0) + margin)
  end
end
