import { defineFacts } from '../../harness/facts.ts'

const SDK = '@aws-sdk/client-s3 3.1169.0'
const read = '2026-11-28'

export const facts = defineFacts({
  of: 'Amazon S3, general-purpose buckets',
  enforcedBy: ['test/commands/s3/bucket-server.ts', 'test/commands/s3/bucket-store.ts'],
  facts: [
    {
      says: 'A part’s checksum must be of the algorithm that the upload was created with; one of an upload without is refused.',
      source: `${SDK}, models_1.d.ts, UploadPartRequest.ChecksumAlgorithm: it must match the checksum value supplied in CreateMultipartUpload; the wording of the refusal is that of public bug reports: apache/arrow-rs#6793, apache/opendal#4533`,
      read,
    },
    {
      says: 'The SDK sends a CRC-32 with each part of its own accord.',
      source: `${SDK}, requests as it sent them to the server here`,
      read,
    },
    {
      says: 'Each part but the last has at least 5 MiB (EntityTooSmall); parts are found by number and ETag (InvalidPart), in ascending order (InvalidPartOrder); an upload that was completed or aborted is gone (NoSuchUpload).',
      source: `${SDK}, CompleteMultipartUploadCommand.d.ts, "Special errors"`,
      read,
    },
    {
      says: 'An upload has 1 to 10,000 parts.',
      source: 'https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html',
      read,
    },
    {
      says: 'If-Match at CompleteMultipartUpload: 412 when the ETag is another one, 409 ConditionalRequestConflict when another write comes in between.',
      source: `${SDK}, models_0.d.ts, CompleteMultipartUploadRequest.IfMatch`,
      read,
    },
    {
      says: 'DeleteObjects takes at most 1,000 keys, wants Content-MD5 (the SDK sends a CRC-32 in its place), and an ETag for each key is a condition, in general-purpose buckets too.',
      source: `${SDK}, DeleteObjectsCommand.d.ts; models_0.d.ts, ObjectIdentifier.ETag has no restriction to directory buckets, which LastModifiedTime and Size have`,
      read,
    },
    {
      says: 'ListObjectsV2 answers at most 1,000 keys and folders a page; with EncodingType url keys are encoded, since XML 1.0 has no place for some characters.',
      source: `${SDK}, models_0.d.ts, ListObjectsV2Request`,
      read,
    },
    {
      says: 'A copy is encrypted as the request or the bucket says, not as its source is; metadata and tags go along.',
      source: `${SDK}, models_0.d.ts, CopyObjectRequest.ServerSideEncryption, MetadataDirective, TaggingDirective`,
      read,
    },
    {
      says: 'HEAD counts the tags for those only who may read them, and has no body: a refusal has a status and no word.',
      source: `${SDK}, models_0.d.ts, HeadObjectOutput.TagCount; HeadObjectCommand.d.ts`,
      read,
    },
    {
      says: 'GET of an archived object is refused by 403 InvalidObjectState.',
      source: `${SDK}, errors.d.ts and schemas_0.js, InvalidObjectState; GetObjectCommand.d.ts`,
      read,
    },
    {
      says: 'The requests of a rewrite, a copy, a list and a delete are taken by a server that nobody of this project wrote, with the SDK’s default checksums.',
      source: 'npm fauxqs 2.4.1, in test/commands/s3/fauxqs.test.ts; s3rver 3.7.1 as well',
      read,
    },
  ],
  unchecked: [
    {
      says: 'An upload with CRC-32 wants each part’s checksum at its completion.',
      why: 'The refusal is known from public bug reports; no account to try it on. The commands send it in any case.',
    },
    {
      says: 'A disabled key of KMS is refused by 400 KMS.DisabledException at GET, and HEAD is answered.',
      why: 'The codes are those of public bug reports; no account to try it on.',
    },
    {
      says: 'EventBridge, Snowpipe or Auto Loader take a rewritten object in a second time.',
      why: 'It depends on their settings.',
    },
  ],
})
