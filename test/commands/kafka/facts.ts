import { defineFacts } from '../../harness/facts.ts'

const message = (name: string) =>
  `apache/kafka, clients/src/main/resources/common/message/${name}.json; https://kafka.apache.org/protocol`
const MOCK = "tried on librdkafka 2.0.2's mock cluster with kcat 1.7.1 (Debian 12)"
const BATCH = 'https://kafka.apache.org/documentation/#recordbatch'
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'Kafka',
  enforcedBy: [
    'test/commands/kafka/cluster.ts',
    'test/commands/kafka/broker.ts',
    'test/commands/kafka/groups.test.ts',
    'test/commands/kafka/auth.test.ts',
    'test/commands/kafka/wire.test.ts',
  ],
  facts: [
    {
      says: 'A batch of magic 2 carries a CRC-32C over what stands behind it, its codec in three bits, and is transactional or a control batch by two more.',
      source: BATCH,
      read,
    },
    {
      says: 'Producers compress with gzip, snappy, LZ4 frames or zstd; all are read as they were written.',
      source: MOCK,
      read,
    },
    {
      says: 'snappy comes raw (librdkafka) or in blocks behind the head of snappy-java (Java).',
      source:
        'https://github.com/xerial/snappy-java, SnappyOutputStream; https://github.com/google/snappy/blob/main/format_description.txt',
      read,
    },
    {
      says: 'A header may have no value, which is not an empty one; names may repeat, and the order is kept.',
      source: `${BATCH}; ${MOCK}`,
      read,
    },
    {
      says: 'The key of a control record ends in 0 for an abort and in 1 for a commit; a fetch of what is committed lists where aborted transactions begin.',
      source: `https://kafka.apache.org/documentation/#controlbatch; ${message('FetchResponse')}`,
      read,
    },
    {
      says: 'librdkafka chooses a partition by murmur2, by CRC-32 (its default) or by FNV-1a as sarama does.',
      source: MOCK,
      read,
    },
    {
      says: 'DescribeGroups calls a group of KIP-848 dead, without members.',
      source: 'https://github.com/IBM/sarama/issues/3746; https://github.com/tchiotludo/akhq/pull/2780',
      read,
    },
    {
      says: 'ConsumerGroupDescribe (69) is flexible from version 0 on, and answers GROUP_ID_NOT_FOUND for a group of another kind.',
      source: `${message('ConsumerGroupDescribeRequest')}; the frames of our broker are read by @platformatic/kafka 2.12.0, and ours are the ones that it writes`,
      read,
    },
    {
      says: 'OffsetForLeaderEpoch answers where an epoch ended: an end before a committed offset is a log that was cut.',
      source: `${message('OffsetForLeaderEpochResponse')}; KIP-320`,
      read,
    },
    {
      says: 'A broker refuses a member beside others that speak another protocol of assignment (INCONSISTENT_GROUP_PROTOCOL), and a commit without a member while the group has some (UNKNOWN_MEMBER_ID).',
      source: 'https://kafka.apache.org/protocol#protocol_error_codes; the second one tried on the mock cluster',
      read,
    },
    {
      says: 'A login by OAUTHBEARER sends "n,,", the token and its extensions, each behind a byte 1.',
      source: 'RFC 7628, section 3.1; KIP-342',
      read,
    },
    {
      says: 'The token for MSK is a presigned kafka-cluster:Connect of 900 seconds, in base64url.',
      source:
        'aws-msk-iam-sasl-signer-js 1.0.3, src/index.ts; https://docs.aws.amazon.com/msk/latest/developerguide/iam-access-control.html',
      read,
    },
    {
      says: 'Brokers hang up on a request of more than 104,857,600 bytes, which the beginning of TLS looks like.',
      source: 'https://kafka.apache.org/documentation/#brokerconfigs_socket.request.max.bytes',
      read,
    },
    {
      says: "Confluent's wire format is a zero, four bytes of the schema's id, then the value.",
      source:
        'https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format',
      read,
    },
    {
      says: "Hadoop's LineRecordReader, under Spark, Hive and Athena, passes over EF BB BF at the beginning of a file, compressed or not.",
      source: 'apache/hadoop, LineRecordReader.java, skipUtfByteOrderMark',
      read,
    },
  ],
  unchecked: [
    {
      says: 'An empty group of KIP-848 lets a member of the older protocol in, and commits by it.',
      why: 'No broker that speaks KIP-848 runs here: none is in npm or Debian, and franz-go’s kfake needs Go 1.25.',
    },
    {
      says: 'Newer brokers describe a group of KIP-848 only to who may describe all topics that it reads.',
      why: 'Read in no primary source; what they answer instead is told as a missing right.',
    },
    {
      says: 'A topic that was made anew, and whose end is behind the committed offset again, is told by the leader epoch of the commit only.',
      why: 'librdkafka’s mock keeps no epoch of a commit; told by frames of our own.',
    },
    {
      says: 'MSK takes the token that the signer makes.',
      why: 'No account; the token’s form is held against AWS’s own signer, which makes it.',
    },
    {
      says: 'Kafka 4 takes these versions: Produce 7, Fetch 11, ListOffsets 3, OffsetFetch 5, OffsetForLeaderEpoch 3.',
      why: 'No Kafka 4 runs here; all are above the minima of KIP-896.',
    },
  ],
})
