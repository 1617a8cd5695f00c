// Attacks one port, in a process of its own: idle sockets, slow heads, refused upgrades as fast as they go.

import { connect } from 'node:net'

const [port, idle, slow, refusals] = process.argv.slice(2).map(Number)
const sockets = new Set()
const counts = { idle: 0, slow: 0, refused: 0, other: 0, lost: 0 }

function open (count, send) {
  const socket = connect(port, '127.0.0.1', () => { counts[count]++; send?.(socket) })
  sockets.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => { sockets.delete(socket); counts.lost++ })
  return socket
}

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds))

for (let i = 0; i < idle; i++) {
  open('idle')
  if (i % 200 === 199) await pause(20)
}
for (let i = 0; i < slow; i++) {
  open('slow', socket => {
    socket.write('GET /ws/a HTTP/1.1\r\nHost: localhost\r\n')
    const drip = setInterval(() => socket.writable ? socket.write('X') : clearInterval(drip), 1_000)
    drip.unref()
  })
  if (i % 50 === 49) await pause(20)
}
process.send({ phase: 'open', ...counts })

// Many at a time over connections that are kept, so that the limit is the processor of either side.
const upgrade = Buffer.from('GET /ws/doc?token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJldmUiLCJleHAiOjk5OTk5OTk5OTl9.AAAA HTTP/1.1\r\nHost: localhost\r\n' +
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
const begun = performance.now()
let asked = 0
await Promise.all(Array.from({ length: 32 }, () => new Promise(resolve => {
  const next = () => {
    if (asked >= refusals) return resolve()
    asked++
    const socket = connect(port, '127.0.0.1', () => socket.write(upgrade))
    let seen = ''
    socket.on('data', data => {
      seen += data.toString('latin1')
      if (!seen.includes('\r\n\r\n')) return
      if (seen.startsWith('HTTP/1.1 401')) counts.refused++
      else counts.other++
      socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', next)
  }
  next()
})))
process.send({ phase: 'refused', seconds: (performance.now() - begun) / 1000, ...counts })
for (const socket of sockets) socket.destroy()
process.disconnect()
