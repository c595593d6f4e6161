import { type AddressInfo, createServer, type Socket } from 'node:net'

/** Where processes report that they live: each holds a connection open until it dies. */
export async function startRegister() {
  const sockets: Socket[] = []
  const closed: Promise<void>[] = []
  let onArrival = () => {}
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.resume()
    sockets.push(socket)
    closed.push(new Promise((resolve) => socket.once('close', () => resolve())))
    onArrival()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    /** Resolves when `count` processes live. */
    arrived: (count: number) =>
      new Promise<void>((resolve) => {
        onArrival = () => {
          if (sockets.length >= count) resolve()
        }
        onArrival()
      }),
    /** Resolves when every process that reported has died; the system closes its connection then. */
    gone: () => Promise.all(closed),
    count: () => sockets.length,
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
