// A real nginx in front of the server, with nothing set that is not needed to pass requests on.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from '../../lib/wait.mjs'

const PLACES = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx']

const freePort = () => new Promise((resolve, reject) => {
  const listener = createServer()
  listener.once('error', reject)
  listener.listen(0, '127.0.0.1', () => { const { port } = listener.address(); listener.close(() => resolve(port)) })
})

/** Starts nginx in front of a server. HTTP/1.1 at `port` and `url`, HTTP/2 without encryption at `port2`. */
export async function nginx (server, { t }) {
  const binary = process.env.QUIRE_NGINX ?? PLACES.find(path => existsSync(path))
  if (!binary) throw new Error(`no nginx at ${PLACES.join(', ')}: install it or set QUIRE_NGINX`)
  const folder = mkdtempSync(join(tmpdir(), 'quire-nginx-'))
  const [port, port2] = [await freePort(), await freePort()]
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${folder}/${kind};`).join(' ')
  writeFileSync(join(folder, 'nginx.conf'), `
${process.getuid() === 0 ? 'user root;' : ''} daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes 1;
events { worker_connections 256; }
http {
  access_log off; ${temporary}
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${server.port}; proxy_http_version 1.1; } }
  server { listen 127.0.0.1:${port2} http2; location / { proxy_pass http://127.0.0.1:${server.port}; proxy_http_version 1.1; } }
}
`)
  const child = spawn(binary, ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', data => { said += data })
  const ended = new Promise(resolve => child.once('exit', resolve))
  t.after(async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(folder, { recursive: true, force: true })
  })
  const url = `http://127.0.0.1:${port}`
  await waitFor(async () => (await fetch(`${url}/healthz`)).ok, 10_000, () => `nginx to answer: ${said} ${existsSync(join(folder, 'error.log')) ? readFileSync(join(folder, 'error.log'), 'utf8') : ''}`, 50)
  return { url, port, port2 }
}
