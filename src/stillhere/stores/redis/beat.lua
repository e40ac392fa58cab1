-- Units: *_at, now and horizon are milliseconds since 1970; spans are milliseconds. `core.rules.apply_claim`, restated: judge, credit, remember.
-- KEYS, for each claim: sessions, index, views, marks, counter.
-- ARGV: channel, now, visit_gap, touch_interval, 1 if the caller archives, then the claims, packed. Answers, for each claim: the session as
-- it is kept, in a table of its own if its end was recorded now; false if there is none; an error if it is the claim's own.
local channel, now, visit_gap, touch_interval = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local max, min = math.max, math.min

local function read_view(raw)
  local visit, tab, page, title, opened_at, last_seen_at, visible_ms, active_ms, scroll_pct, lifecycle, seq,
    heat, bands = cmsgpack.unpack(raw)
  return {
    visit = visit, tab = tab, page = page, title = title, opened_at = opened_at, last_seen_at = last_seen_at,
    visible_ms = visible_ms, active_ms = active_ms, scroll_pct = scroll_pct, lifecycle = lifecycle, seq = seq,
    heat = heat, bands = bands,
  }
end

local function write_view(view)
  return cmsgpack.pack(
    view.visit, view.tab, view.page, view.title, view.opened_at, view.last_seen_at,
    view.visible_ms, view.active_ms, view.scroll_pct, view.lifecycle, view.seq, view.heat, view.bands
  )
end

local function read_visit(raw)
  local number, started_at, last_seen_at, covered_until_at, visible_ms, active_ms, left_at,
    uncounted_from_at, uncounted_until_at = cmsgpack.unpack(raw)
  return {
    number = number, started_at = started_at, last_seen_at = last_seen_at, covered_until_at = covered_until_at,
    uncounted_from_at = uncounted_from_at or 0, uncounted_until_at = uncounted_until_at or 0,
    visible_ms = visible_ms, active_ms = active_ms, left_at = left_at,
  }
end

-- Where nothing was ever passed over, nothing is said of it.
local function write_visit(visit)
  local packed = cmsgpack.pack(
    visit.number, visit.started_at, visit.last_seen_at, visit.covered_until_at, visit.visible_ms, visit.active_ms, visit.left_at
  )
  if visit.uncounted_until_at == 0 then
    return packed
  end
  return packed .. cmsgpack.pack(visit.uncounted_from_at, visit.uncounted_until_at)
end

local function read_claim(raw)
  local head = head_of(raw)
  local _, handle, age_ms, active_ago_ms, on_screen, chosen, opens, leaves, view, seq, visible_ms, active_ms, scroll_pct, lifecycle,
    tab, page, title, heat, bands = cmsgpack.unpack_limit(raw, 18, #head)
  return {
    handle = handle, head = head, age_ms = age_ms, active_ago_ms = active_ago_ms, on_screen = on_screen, chosen = chosen,
    opens = opens, leaves = leaves, view = view, seq = seq, visible_ms = visible_ms or 0, active_ms = active_ms or 0,
    scroll_pct = scroll_pct or 0, lifecycle = lifecycle, tab = tab, page = page, title = title,
    heat = heat, bands = bands,
  }
end

-- Repeated or overtaken, so that later evidence is in already. A choice to stay counts even if words of leaving overtook it.
local function is_old(view, claim)
  if not view or not claim.seq then
    return false
  end
  if claim.chosen then
    return claim.seq == view.seq
  end
  return claim.seq <= view.seq
end

local function is_latest(view, claim)
  return not claim.seq or claim.seq > view.seq
end

-- Tells whether anything moved.
local function credit(session, claim, old)
  local active_at = session.last_active_at
  if claim.active_ago_ms and not old then
    active_at = max(active_at, now - claim.active_ago_ms)
  end
  local seen_at = max(session.last_seen_at, now)
  local moved_ms = max(active_at - session.last_active_at, seen_at - session.last_seen_at)
  if moved_ms == 0 or (moved_ms < touch_interval and not claim.chosen) then
    return false
  end
  session.last_active_at, session.last_seen_at = active_at, seen_at
  return true
end

local function opened_at(session, claim, horizon)
  return max(session.created_at, horizon - (claim.view and claim.visible_ms or 0))
end

local function visit_for_opening(session, visit, claim, horizon)
  local at = opened_at(session, claim, horizon)
  if visit and at - visit.last_seen_at <= visit_gap then
    return visit
  end
  return {
    number = visit and visit.number + 1 or 1, started_at = at, last_seen_at = at, covered_until_at = at,
    uncounted_from_at = 0, uncounted_until_at = 0, visible_ms = 0, active_ms = 0,
  }
end

local function open_view(session, visit, claim, horizon)
  local at = opened_at(session, claim, horizon)
  return {
    visit = visit.number, tab = claim.tab, page = claim.page, title = claim.title, opened_at = at, last_seen_at = at,
    visible_ms = 0, active_ms = 0, scroll_pct = 0, seq = -1, heat = claim.heat, bands = claim.bands,
  }
end

-- Gives back by how much visible and active time grew, and since when at the earliest.
local function grow(view, claim, newest, horizon)
  local visible_ms = max(view.visible_ms, min(claim.visible_ms, horizon - view.opened_at))
  local active_ms = max(view.active_ms, min(claim.active_ms, visible_ms))
  local by_visible_ms, by_active_ms, after_at = visible_ms - view.visible_ms, active_ms - view.active_ms, view.last_seen_at
  view.last_seen_at = max(view.last_seen_at, horizon)
  view.visible_ms, view.active_ms = visible_ms, active_ms
  view.scroll_pct = max(view.scroll_pct, claim.scroll_pct)
  if newest then
    view.page = claim.page or view.page
    view.title = claim.title or view.title
    view.lifecycle = claim.lifecycle or view.lifecycle
    view.heat = claim.heat or view.heat
    view.bands = claim.bands or view.bands
  end
  if claim.seq then
    view.seq = max(view.seq, claim.seq)
  end
  return by_visible_ms, by_active_ms, after_at
end

-- Counts by how much a view grew as the span before the horizon, as far as no tab was counted for it yet. Gives back how much that is.
local function count(visit, view, by_visible_ms, after_at, over_at, horizon)
  if by_visible_ms == 0 then
    return 0
  end
  local covered_at, from_at, until_at = visit.covered_until_at, visit.uncounted_from_at, visit.uncounted_until_at
  local begun_at = horizon - by_visible_ms
  local fills_at = max(begun_at, after_at, from_at)
  local filled_ms = max(0, min(until_at, horizon) - fills_at)
  local visible_ms = visit.visible_ms + filled_ms + max(0, horizon - max(covered_at, begun_at))
  local least_ms = over_at and 0 or min(view.visible_ms, horizon - visit.started_at)
  if begun_at - covered_at >= 1000 then
    -- Less is but how long messages travel.
    from_at, until_at = covered_at, begun_at
  elseif filled_ms > 0 and horizon < until_at then
    from_at = horizon
  elseif filled_ms > 0 then
    until_at = fills_at
  end
  -- No visit is shorter than any of its views: a late message held that back.
  local held_back_ms = max(0, least_ms - visible_ms)
  visit.covered_until_at, visit.uncounted_from_at = max(covered_at, horizon), from_at
  visit.uncounted_until_at = max(from_at, until_at - held_back_ms)
  return visible_ms + held_back_ms - visit.visible_ms
end

local function visited(visit, view, claim, newest, by_visible_ms, by_active_ms, after_at, over_at, horizon)
  local gain = count(visit, view, by_visible_ms, after_at, over_at, horizon)
  local seen_at = visit.last_seen_at
  if over_at then
    -- Words after the end say how long the page was read, not that somebody was there at the end.
    visit.last_seen_at = min(max(seen_at, visit.covered_until_at), seen_at + gain)
  elseif (claim.on_screen and newest) or by_visible_ms > 0 then
    visit.last_seen_at = max(seen_at, horizon)
  end
  if claim.leaves and newest then
    visit.left_at = max(seen_at, horizon)
  elseif claim.on_screen and newest and not over_at then
    visit.left_at = nil
  end
  visit.visible_ms = visit.visible_ms + gain
  visit.active_ms = min(visit.active_ms + by_active_ms, visit.visible_ms)
end

-- The latest visit stands under `n`, and only earlier ones under their numbers: a beat then finds view and visit in one look.
local function find(keys, claim)
  local found = redis.call('HMGET', keys.views, 'n', claim.view and 'v' .. claim.view or 'n')
  local latest = found[1] and read_visit(found[1])
  local view = claim.view and found[2] and read_view(found[2])
  if view and view.visit ~= latest.number then
    return view, read_visit(redis.call('HGET', keys.views, view.visit)), latest
  end
  return view, latest, latest
end

local function keep(keys, claim, view, visit, latest)
  local changes = {}
  if not latest or visit.number == latest.number then
    changes[1], changes[2] = 'n', write_visit(visit)
  elseif visit.number > latest.number then
    changes = { 'n', write_visit(visit), latest.number, redis.call('HGET', keys.views, 'n') }
  else
    changes[1], changes[2] = visit.number, write_visit(visit)
  end
  if view then
    changes[#changes + 1] = 'v' .. claim.view
    changes[#changes + 1] = write_view(view)
  end
  redis.call('HSET', keys.views, unpack(changes))
  mark(keys, claim.handle)
end

-- Brings view and visit up to date. `view` is false if it is new, or none is spoken of.
local function remember(keys, session, claim, view, visit, latest, over_at, horizon)
  local newest, by_visible_ms, by_active_ms, after_at = true, 0, 0, 0
  if not view then
    if over_at or not claim.opens then
      return
    end
    visit = visit_for_opening(session, visit, claim, horizon)
    if claim.view then
      view = open_view(session, visit, claim, horizon)
    elseif horizon - visit.last_seen_at < touch_interval and not visit.left_at then
      if visit ~= latest then
        keep(keys, claim, view, visit, latest)
      end
      return
    end
  end
  if view then
    newest = is_latest(view, claim)
    by_visible_ms, by_active_ms, after_at = grow(view, claim, newest, horizon)
  end
  visited(visit, view, claim, newest, by_visible_ms, by_active_ms, after_at, over_at, horizon)
  keep(keys, claim, view, visit, latest)
end

local function apply(keys, claim)
  local raw = redis.call('HGET', keys.sessions, claim.handle)
  if not raw or head_of(raw) ~= claim.head then
    return false
  end
  local session = read_session(raw)
  local view, visit, latest
  if claim.view or claim.opens then
    view, visit, latest = find(keys, claim)
  end
  local over_at, over_by = ending(session, now)
  local horizon = max(session.created_at, min(now - claim.age_ms, over_at or now - claim.age_ms))
  local answer = raw
  if over_at and not session.ended_at then
    answer = { record_end(keys, channel, claim.handle, session, over_at, over_by) }
  elseif not over_at and credit(session, claim, is_old(view, claim)) then
    answer = write_session(session)
    redis.call('HSET', keys.sessions, claim.handle, answer)
  end
  if claim.view or claim.opens then
    remember(keys, session, claim, view, visit, latest, over_at, horizon)
  end
  return answer
end

-- A claim at fault fails alone. What the server says of itself begins with a word in capitals, and stops all.
local function fault(why)
  local text = type(why) == 'table' and why.err or tostring(why)
  if string.find(text, '%u%u%u') and not string.find(text, 'WRONGTYPE', 1, true) then
    error(why, 0)
  end
  return { err = text }
end

local function apply_packed(keys, packed)
  return apply(keys, read_claim(packed))
end

local answers = {}
local archives = ARGV[5] == '1'
for n = 1, #ARGV - 5 do
  local first = (n - 1) * 5
  local keys = {
    sessions = KEYS[first + 1], index = KEYS[first + 2], views = KEYS[first + 3], marks = KEYS[first + 4], counter = KEYS[first + 5],
    archives = archives,
  }
  local ok, answer = pcall(apply_packed, keys, ARGV[n + 5])
  answers[n] = ok and answer or not ok and fault(answer)
end
return answers
