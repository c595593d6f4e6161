import { defineFacts } from '../harness/facts.ts'

const read = '2026-11-28'
const errors = (name: string) => `https://redis.io/docs/latest/develop/reference/errors/common/${name}/`
const SERVER = 'redis-server 7.0.15'

export const facts = defineFacts({
  of: 'Redis, when another server takes over',
  enforcedBy: ['test/redis/failover.test.ts', 'test/redis/many.test.ts', 'test/redis/cluster.ts'],
  facts: [
    {
      says: 'A primary that becomes a replica keeps its connections, and answers what would change data with READONLY; nothing was done.',
      source: `${errors('readonly')}; ${SERVER}`,
      read,
    },
    {
      says: 'A script that meets it inside gets READONLY with the place in the script behind it.',
      source: `${errors('readonly')}; ${SERVER}`,
      read,
    },
    {
      says: 'A command inside MULTI is refused when it is queued, and EXEC then says EXECABORT.',
      source: SERVER,
      read,
    },
    {
      says: 'A connection that subscribes is told of nothing: it stays with the server that hears of no change any more.',
      source: SERVER,
      read,
    },
    {
      says: 'A connection that waits for a job in a blocking command is ended when its server becomes a replica.',
      source: SERVER,
      read,
    },
    {
      says: 'A server that is gone without a word leaves its connections open; Linux gives one up after some 924.6 seconds.',
      source: 'https://www.kernel.org/doc/html/latest/networking/ip-sysctl.html, tcp_retries2',
      read,
    },
    {
      says: 'A server that loads its data answers LOADING to all but a few commands; INFO still works.',
      source: errors('loading'),
      read,
    },
    {
      says: 'A replica without its primary answers MASTERDOWN where replica-serve-stale-data is no.',
      source: errors('masterdown'),
      read,
    },
    {
      says: 'A cluster’s nodes answer MOVED for keys of another node, TRYAGAIN while a slot moves, and CLUSTERDOWN while it has no primary: ioredis asks again, sixteen times.',
      source: `${errors('clusterdown')}; ioredis 6.0.0, built/cluster/ClusterOptions.js`,
      read,
    },
  ],
  unchecked: [
    {
      says: 'A fail-over of ElastiCache, MemoryDB, Azure Cache or Memorystore.',
      why: 'None could be had; two servers and an address that is turned from one to the other stand for them.',
    },
    {
      says: 'Redis before 7.0, whose scripts put READONLY into the middle of an ERR.',
      why: 'Debian 12 has 7.0.15; that answer is played by the address.',
    },
  ],
})
