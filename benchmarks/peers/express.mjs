// Express with express-session and connect-redis: every beat touches the session. Environment: PORT, BENCH_REDIS.
import { RedisStore } from "connect-redis"
import express from "express"
import session from "express-session"
import { createClient } from "redis"

const client = createClient({ url: process.env.BENCH_REDIS })
await client.connect()

const app = express()
app.disable("x-powered-by")
app.disable("etag")
app.use(
  session({
    store: new RedisStore({ client }),
    secret: "not-a-secret",
    resave: false,
    saveUninitialized: false,
    rolling: true,
    cookie: { maxAge: 1_200_000 },
  }),
)

app.get("/login", (request, response) => {
  request.session.user = request.query.user
  response.json({ user: request.session.user })
})

// Answers as much as stillhere does; a body is not parsed, which spares it work that stillhere does.
app.post("/session/beat", (request, response) => {
  if (!request.session.user) {
    response.status(401).json({ success: false })
    return
  }
  const left = request.session.cookie.maxAge
  response.set("Cache-Control", "private, no-store").json({
    state: "active",
    expiresInMs: left,
    idleInMs: left,
    absoluteInMs: 86_399_000,
    warnInMs: left - 120_000,
    nextBeatMs: 180_000,
    canExtend: true,
    accessTokenExpiresAt: null,
    success: true,
  })
})

app.listen(Number(process.env.PORT), "127.0.0.1")
