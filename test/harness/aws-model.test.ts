import { describe, expect, it } from '@jest/globals'
import { awsModel } from './aws-model.ts'

describe('the models of the AWS SDK', () => {
  const emr = awsModel('@aws-sdk/client-emr')
  const rds = awsModel('@aws-sdk/client-rds')
  const s3 = awsModel('@aws-sdk/client-s3')
  const step = { Id: 's-1', Name: 'load', Status: { State: 'RUNNING', Timeline: { CreationDateTime: 1.5 } } }

  it('find nothing wrong with an answer as AWS gives it', () => {
    expect(emr.output('ListSteps', { Steps: [step], Marker: 'm' })).toEqual([])
    expect(
      rds.output(
        'DescribeDBSnapshots',
        '<DescribeDBSnapshotsResponse><DescribeDBSnapshotsResult><DBSnapshots><DBSnapshot><DBSnapshotIdentifier>a</DBSnapshotIdentifier><Encrypted>true</Encrypted><SnapshotCreateTime>2026-01-01T00:00:00Z</SnapshotCreateTime></DBSnapshot></DBSnapshots></DescribeDBSnapshotsResult></DescribeDBSnapshotsResponse>',
      ),
    ).toEqual([])
    expect(
      s3.output(
        'ListObjectsV2',
        '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a &amp; b</Key><Size>1</Size></Contents></ListBucketResult>',
      ),
    ).toEqual([])
  })

  it.each<[string, unknown, string]>([
    ['a member that there is not', { Steps: [{ ...step, Owner: 'me' }] }, 'ListSteps.Steps[0].Owner is no member'],
    [
      'a text where a number belongs',
      { Steps: [{ ...step, Status: { Timeline: { CreationDateTime: '2026' } } }] },
      'is not a number',
    ],
    [
      'a state that the model does not know',
      { Steps: [{ ...step, Status: { State: 'STUCK' } }] },
      '"STUCK", which is none of',
    ],
    ['an object where a list belongs', { Steps: step }, 'ListSteps.Steps is not a list'],
  ])('name %s', (_, answer, fault) => {
    expect(emr.output('ListSteps', answer).join()).toContain(fault)
  })

  it('name what is required and not there, in answers and in requests', () => {
    const scaling = awsModel('@aws-sdk/client-auto-scaling')
    expect(
      scaling.output(
        'TerminateInstanceInAutoScalingGroup',
        '<TerminateInstanceInAutoScalingGroupResponse><TerminateInstanceInAutoScalingGroupResult><Activity><ActivityId>1</ActivityId><AutoScalingGroupName>g</AutoScalingGroupName><Cause>c</Cause><StatusCode>InProgress</StatusCode></Activity></TerminateInstanceInAutoScalingGroupResult></TerminateInstanceInAutoScalingGroupResponse>',
      ),
    ).toEqual(['TerminateInstanceInAutoScalingGroup.Activity.StartTime is required and not there'])
    expect(emr.input('ListSteps', {})).toEqual(['ListSteps.ClusterId is required and not there'])
    expect(emr.input('ListSteps', { ClusterId: 'j-1', StepStates: ['STUCK'] }).join()).toContain('none of')
    expect(emr.input('StopTheWorld', {})).toEqual(['StopTheWorld is no operation of @aws-sdk/client-emr'])
  })

  it('follow the fields of a form into its lists', () => {
    const form = (field: string) => new URLSearchParams({ Action: 'DescribeDBInstances', [field]: 'x' })
    expect(rds.input('DescribeDBInstances', form('Filters.Filter.1.Values.Value.2'))).toEqual([])
    expect(rds.input('DescribeDBInstances', form('Filters.Filter.1.Worth.Value.2')).join()).toContain(
      'no member of Filter',
    )
    expect(rds.input('DescribeDBInstances', form('Filters.member.1.Name')).join()).toContain('instead of Filter')
    expect(rds.input('DescribeDBInstances', form('Nothing')).join()).toContain('no member')
  })
})
