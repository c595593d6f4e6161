import { defineFacts } from '../../harness/facts.ts'

/** Kafka's own source, as it was read. */
const KAFKA = 'https://github.com/apache/kafka/blob/1eb7644349cb07139d6a3c1ad1986979647cac99'
const message = (name: string) => `${KAFKA}/clients/src/main/resources/common/message/${name}.json`
const common = (file: string) => `${KAFKA}/clients/src/main/java/org/apache/kafka/common/${file}`
const MOCK = "tried on librdkafka 2.0.2's mock cluster with kcat 1.7.1 (Debian 12)"
const BATCH = `https://kafka.apache.org/documentation/#recordbatch (${KAFKA}/docs/implementation.html)`
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
      source: `https://kafka.apache.org/documentation/#controlbatch (${KAFKA}/docs/implementation.html); ${message('FetchResponse')}`,
      read,
    },
    {
      says: 'librdkafka chooses a partition by murmur2, by CRC-32 (its default) or by FNV-1a as sarama does.',
      source: MOCK,
      read,
    },
    {
      says: 'DescribeGroups calls a group of KIP-848 dead, without members.',
      source: `${KAFKA}/group-coordinator/src/main/java/org/apache/kafka/coordinator/group/GroupMetadataManager.java (describeGroups); IBM/sarama#3746; tchiotludo/akhq#2780`,
      read,
    },
    {
      says: 'ConsumerGroupDescribe (69) is flexible from version 0 on, and answers GROUP_ID_NOT_FOUND for a group of another kind.',
      source: `${message('ConsumerGroupDescribeRequest')}; ${message('ConsumerGroupDescribeResponse')}; ${KAFKA}/group-coordinator/src/main/java/org/apache/kafka/coordinator/group/GroupMetadataManager.java (consumerGroup); the frames of our broker are read by @platformatic/kafka 2.12.0, and ours are the ones that it writes`,
      read,
    },
    {
      says: 'OffsetForLeaderEpoch answers where an epoch ended: an end before a committed offset is a log that was cut.',
      source: message('OffsetForLeaderEpochResponse'),
      read,
    },
    {
      says: 'A broker refuses a member beside others that speak another protocol of assignment (INCONSISTENT_GROUP_PROTOCOL), and a commit without a member while the group has some (UNKNOWN_MEMBER_ID).',
      source: `${common('protocol/Errors.java')}; the second one ${MOCK}`,
      read,
    },
    {
      says: 'A login by OAUTHBEARER sends "n,,", the token and its extensions, each behind a byte 1.',
      source: `${common('security/oauthbearer/internals/OAuthBearerClientInitialResponse.java')}; https://cwiki.apache.org/confluence/display/KAFKA/KIP-342:+Add+support+for+Custom+SASL+extensions+in+OAuthBearer+authentication; RFC 7628`,
      read,
    },
    {
      says: 'The token for MSK is a presigned kafka-cluster:Connect of 900 seconds, in base64url.',
      source: 'aws-msk-iam-sasl-signer-js 1.0.3 of AWS, src/constants.ts, and the token that it makes',
      read,
    },
    {
      says: 'Brokers hang up on a request of more than 104,857,600 bytes, which the beginning of TLS looks like.',
      source: `${KAFKA}/server/src/main/java/org/apache/kafka/network/SocketServerConfigs.java (SOCKET_REQUEST_MAX_BYTES_DEFAULT); ${common('network/NetworkReceive.java')}`,
      read,
    },
    {
      says: "Confluent's wire format is a zero, four bytes of the schema's id, then the value.",
      source:
        'https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format, as apache/iggy#2207 quotes its table',
      read,
    },
    {
      says: "Hadoop's LineRecordReader, under Spark, Hive and Athena, passes over EF BB BF at the beginning of a file, compressed or not.",
      source:
        'https://github.com/apache/hadoop/blob/trunk/hadoop-mapreduce-project/hadoop-mapreduce-client/hadoop-mapreduce-client-core/src/main/java/org/apache/hadoop/mapreduce/lib/input/LineRecordReader.java (skipUtfByteOrderMark)',
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
