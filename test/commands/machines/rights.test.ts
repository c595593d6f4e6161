import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { cleanUp } from '../../../commands/machines/clean-up.ts'
import { cycleInstances } from '../../../commands/machines/cycle-instances.ts'
import { pinPackages } from '../../../commands/machines/pin-packages.ts'
import { resizeGroup } from '../../../commands/machines/resize-group.ts'
import { restartUnits } from '../../../commands/machines/restart-units.ts'
import { scripting } from '../../../commands/machines/rights.ts'
import type { ChangeCommand } from '../../../src/domain/command.ts'
import { propose } from '../context.ts'
import { IDS, type Machines, mayScript, startMachines, WORKER } from './world.ts'

describe('a run on machines', () => {
  let m: Machines
  const folders: Record<string, object> = {}
  beforeEach(async () => {
    m = await startMachines({ maxMachines: 6, folders })
    const folder = join(m.fleet.root, 'done')
    folders[folder] = { keepHours: 1 }
    await mkdir(folder)
    await writeFile(join(folder, 'old'), 'x')
    await utimes(join(folder, 'old'), new Date('2026-01-01'), new Date('2026-01-01'))
    for (const id of IDS) await m.fleet.packages(id, { numpy: '2.1.0' }, { numpy: '1.26.4' })
  })
  afterEach(() => m.close())

  const run = async (command: ChangeCommand, params: object) => {
    const plan = await propose(command, { connection: 'prod', group: 'airflow', ...params }, m.world.read())
    expect(m.sts.policies()).toEqual([])
    await command.run(plan, m.world.run(plan).ctx)
    return m.sts.policies()
  }
  const on = (id: string) => mayScript(`ec2:us-east-1:123456789012:instance/${id}`)

  it.each<[string, ChangeCommand, (root: string) => object]>([
    ['restarts units', restartUnits, () => ({ units: WORKER })],
    ['pins packages', pinPackages, () => ({ packages: 'numpy=1.26.4' })],
    ['cleans up', cleanUp, (root) => ({ folder: join(root, 'done'), olderThanHours: 24, unit: WORKER })],
  ])('%s in sessions that may run scripts on one machine each', async (_, command, params) => {
    const instances = command === cleanUp ? [IDS[0]] : [IDS[0], IDS[1]]
    expect(await run(command, { ...params(m.fleet.root), instances: instances.join() })).toEqual(instances.map(on))
    expect(m.sts.asked()).toEqual(['ssm:GetCommandInvocation', 'ssm:SendCommand'])
  })

  it.each<[string, ChangeCommand, object]>([
    ['SetDesiredCapacity', resizeGroup, { wanted: 5 }],
    ['TerminateInstanceInAutoScalingGroup', cycleInstances, { instances: IDS[0] }],
  ])('may %s of its group only', async (action, command, params) => {
    expect(await run(command, params)).toEqual([
      [
        {
          Effect: 'Allow',
          Action: [`autoscaling:${action}`],
          Resource: ['arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:*:autoScalingGroupName/airflow-prod'],
        },
        { Effect: 'Allow', Action: ['autoscaling:DescribeAutoScalingGroups'], Resource: ['*'] },
      ],
    ])
    expect(m.sts.asked()).toEqual([`autoscaling:${action}`, 'autoscaling:DescribeAutoScalingGroups'].sort())
  })

  it('names a machine outside of EC2 as one of Systems Manager', () => {
    const own = (service: string, resource: string) => `arn:aws:${service}:eu-west-1:1:${resource}`
    expect(scripting(own, 'eu-west-1', 'mi-0a1b2c3d4e5f60718')[0]?.resources[1]).toBe(
      'arn:aws:ssm:eu-west-1:1:managed-instance/mi-0a1b2c3d4e5f60718',
    )
  })
})
