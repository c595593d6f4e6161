import { element, Fault } from './wire.ts'

export type Instance = {
  DBInstanceIdentifier: string
  DbiResourceId: string
  DBInstanceClass: string
  DBInstanceStatus: string
  MultiAZ: boolean
  pending: Record<string, string>
  MaxAllocatedStorage?: number
  DBClusterIdentifier?: string
}

const ARN = 'arn:aws:rds:us-east-1:123456789012:db:'
const OFFERED = ['db.r6g.large', 'db.r6g.xlarge', 'db.r6g.2xlarge']

/** DB instances: a change is pending, then being made, then done, one stage further at each look. */
export function instanceActions(instances: Instance[]) {
  const find = (form: URLSearchParams) => {
    const found = instances.find((one) => one.DBInstanceIdentifier === form.get('DBInstanceIdentifier'))
    if (!found) throw new Fault('DBInstanceNotFound', 'DBInstance not found.', 404)
    return found
  }
  const show = ({ pending, ...rest }: Instance) =>
    [
      ...Object.entries(rest).map(([name, value]) => element(name, String(value))),
      element('DBInstanceArn', `${ARN}${rest.DBInstanceIdentifier}`),
      element('Engine', 'postgres'),
      element('EngineVersion', '17.2'),
      element('AllocatedStorage', 200),
      element('InstanceCreateTime', '2026-01-01T00:00:00.000Z'),
      `<PendingModifiedValues>${Object.entries(pending)
        .map(([name, value]) => element(name, value))
        .join('')}</PendingModifiedValues>`,
    ].join('')
  const advance = (one: Instance) => {
    if (one.DBInstanceStatus === 'modifying') {
      Object.assign(one, { ...one.pending, pending: {}, DBInstanceStatus: 'available' })
    } else if (one.DBInstanceStatus === 'available' && one.pending.DBInstanceClass) one.DBInstanceStatus = 'modifying'
  }
  return {
    DescribeDBInstances(form: URLSearchParams) {
      const found = find(form)
      const shown = show(found)
      advance(found)
      return `<DBInstances><DBInstance>${shown}</DBInstance></DBInstances>`
    },
    DescribeOrderableDBInstanceOptions(form: URLSearchParams) {
      const size = Number(form.get('MaxRecords') ?? 100)
      if (!(size >= 20 && size <= 1000)) throw new Fault('InvalidParameterValue', `MaxRecords: ${size}`)
      const wanted = form.get('DBInstanceClass') ?? ''
      const option = `<OrderableDBInstanceOption>${element('Engine', 'postgres')}${element('DBInstanceClass', wanted)}</OrderableDBInstanceOption>`
      return `<OrderableDBInstanceOptions>${OFFERED.includes(wanted) ? option : ''}</OrderableDBInstanceOptions>`
    },
    ModifyDBInstance(form: URLSearchParams) {
      const found = find(form)
      const wanted = form.get('DBInstanceClass') ?? ''
      if (found.DBInstanceStatus !== 'available')
        throw new Fault('InvalidDBInstanceState', `The DB instance is ${found.DBInstanceStatus}.`)
      if (!OFFERED.includes(wanted)) throw new Fault('InvalidParameterCombination', `RDS does not support ${wanted}.`)
      if (form.get('ApplyImmediately') !== 'true') throw new Fault('InvalidParameterValue', 'it would wait for days')
      found.pending = { ...found.pending, DBInstanceClass: wanted }
      return `<DBInstance>${show(found)}</DBInstance>`
    },
  }
}
