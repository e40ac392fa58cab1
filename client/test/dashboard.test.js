// The dashboard's addresses, filters and times: what is pure of it.

import assert from "node:assert/strict"
import { test } from "node:test"
import { address, narrowings, periodOf, presetOf, previous, readFilter, toQuery, unitFor } from "../../src/stillhere/server/static/admin/filters.js"
import { placeOf, visitPath, visitorPath } from "../../src/stillhere/server/static/admin/router.js"
import { dayOf, daysIn, isZone, moment, say, setZone, shiftDays, shiftMonths, ticksBetween, zones } from "../../src/stillhere/server/static/admin/times.js"

const filter = (/** @type {string} */ words) => readFilter(new URLSearchParams(words))
const place = (/** @type {string} */ path) => placeOf(new URL(path, "https://site.example"))

test("every view has an address, and what is none of them is left to the browser", () => {
  assert.deepEqual(["", "/visits", "/visitors", "/pages", "/time", "/mirrors", "/audit", "/wall"].map(path => place(`/admin${path}`)?.name),
    ["now", "visits", "visitors", "pages", "time", "mirrors", "audit", "wall"])
  for (const path of ["/", "/admin/login", "/admin/visits.csv", "/admin/api/now", "/administer", "/admin/visits/a/b"]) assert.equal(place(path), null, path)
})

test("any name survives its address", () => {
  for (const name of ["a@b.example", "a/b?c#d%", "مستثمر@صندوق.example", "%00", "..a", " ", "<img src=x>"]) {
    assert.equal(place(visitorPath(name))?.id, name)
    assert.equal(place(visitorPath(name))?.name, "visitor")
  }
  assert.equal(place(visitPath("abc.1"))?.id, "abc.1")
  for (const name of [".", ".."]) assert.equal(place(visitorPath(name))?.query.get("visitor"), name)
})

test("a filter is what is in the address, and nothing else", () => {
  const words = "visitor=a%40b.example&page=%2Fx&from=2026-11-01&to=2026-11-30&zone=Asia%2FKolkata&min=30s&max=5m&ended=leave&with=internal&verified=true"
  assert.equal(String(toQuery(filter(words))), words)
  assert.equal(address("/admin/visits", filter("unknown=1&visitor=++")), "/admin/visits")
  assert.equal(address("/admin/time", filter("zone=UTC"), { unit: "week", sort: "" }), "/admin/time?zone=UTC&unit=week")
  assert.deepEqual(narrowings(filter("ended=leave,lost&min=30s&from=2026-11-01")).map(one => [one.key, one.value]), [["min", "30s"], ["ended", "left, lost"]])
})

test("presets are days that end today, and are recognized again", () => {
  const today = "2026-03-31"
  assert.deepEqual(periodOf("7d", today), { from: "2026-03-25", to: today })
  assert.deepEqual(periodOf("12m", today), { from: "2025-04-01", to: today })
  for (const preset of /** @type {const} */ (["today", "7d", "30d", "12m", "all"])) assert.equal(presetOf({ ...filter(""), ...periodOf(preset, today) }, today), preset)
  assert.equal(presetOf(filter("from=2026-03-01&to=2026-03-02"), today), null)
})

test("the period before has as many days and ends where this one begins", () => {
  const before = previous(filter("from=2026-03-01&to=2026-03-31&visitor=a"))
  assert.deepEqual([before?.from, before?.to, before?.visitor], ["2026-01-29", "2026-02-28", "a"])
  assert.equal(daysIn("2026-01-29", "2026-02-28"), daysIn("2026-03-01", "2026-03-31"))
  for (const none of ["", "to=2026-03-01", "from=2026-03-02&to=2026-03-01", "from=2026-03-01T10:00:00Z&to=2026-03-02"]) assert.equal(previous(filter(none)), null, none)
})

test("buckets suit the period", () => {
  const unit = (/** @type {number} */ days) => unitFor(filter(`from=${shiftDays("2026-12-31", 1 - days)}&to=2026-12-31`))
  assert.deepEqual([1, 2, 3, 93, 94, 400, 401].map(unit), ["hour", "hour", "day", "day", "week", "week", "month"])
  assert.equal(unitFor(filter("")), "month")
})

test("the ticks of an axis are round by the clocks of the zone, also where those are turned", () => {
  const ticks = (/** @type {string} */ zone, /** @type {string} */ from, /** @type {string} */ to, most = 8) => {
    setZone(zone)
    return ticksBetween(Date.parse(from), Date.parse(to), most).map(at => `${dayOf(at)} ${say("clock", at)}`)
  }
  assert.deepEqual(ticks("Asia/Kolkata", "2026-11-26T01:10:00Z", "2026-11-26T06:40:00Z"), ["07:00", "08:00", "09:00", "10:00", "11:00", "12:00"].map(clock => `2026-11-26 ${clock}`))
  assert.deepEqual(ticks("Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", 5), ["2026-10-25 00:00", "2026-10-25 12:00", "2026-10-26 00:00", "2026-10-26 12:00"])
  assert.deepEqual(ticks("America/New_York", "2026-03-01T00:00:00Z", "2026-03-29T00:00:00Z", 4), ["2026-03-07 00:00", "2026-03-14 00:00", "2026-03-21 00:00", "2026-03-28 00:00"])
  assert.deepEqual(ticks("UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), ["2026-01-01 00:00"])
  setZone("UTC")
})

test("days are counted by the calendar, whatever a zone does to its clocks", () => {
  assert.equal(shiftDays("2026-03-28", 2), "2026-03-30")
  assert.equal(shiftMonths("2024-02-29", -12), "2023-02-28")
  assert.equal(shiftMonths("2026-01-31", 1), "2026-02-28")
  assert.equal(dayOf("2026-10-25T22:30:00Z", "Europe/Berlin"), "2026-10-25")
  assert.equal(dayOf("2026-10-24T22:30:00Z", "Europe/Berlin"), "2026-10-25")
  assert.equal(dayOf("2026-12-31T23:59:59Z", "Pacific/Kiritimati"), "2027-01-01")
})

test("clocks are those of the chosen zone, and a zone that is none is UTC", () => {
  setZone("Asia/Kolkata")
  assert.equal(say("clock", "2026-01-01T00:00:00Z"), "05:30")
  setZone("No/Where")
  assert.equal(say("clock", "2026-01-01T00:00:00Z"), "00:00")
  assert.equal(say("clock", "no instant"), "–")
  assert.match(moment("2001-01-01T00:00:00Z"), /2001/)
  assert.ok(isZone("Europe/Berlin") && !isZone("No/Where"))
  assert.deepEqual(zones(["Asia/Kolkata", "No/Where"]).slice(0, 2), ["Asia/Kolkata", "UTC"])
})
