import {
  type DynamoDBClient,
  LimitExceededException,
  ResourceInUseException,
  UpdateTableCommand,
  type UpdateTableCommandInput,
} from '@aws-sdk/client-dynamodb'
import { Refused } from '../../src/domain/command.ts'
import { answered } from '../aws/answered.ts'

/** Sends one update of a table. Refused where DynamoDB says that it is too much; whether it took effect is for a wait to tell. */
export async function update(
  tables: DynamoDBClient,
  input: UpdateTableCommandInput,
  signal: AbortSignal,
): Promise<void> {
  try {
    await answered(`UpdateTable ${input.TableName}`, signal, () =>
      tables.send(new UpdateTableCommand(input), { abortSignal: signal }),
    )
  } catch (error) {
    if (error instanceof LimitExceededException)
      throw new Refused(
        `DynamoDB refuses it for a quota of the account or the table, or since too many tables change at once: ${error.message}`,
      )
    // It was sent again after a lost reply, or somebody was faster; the wait tells which.
    if (!(error instanceof ResourceInUseException)) throw error
  }
}
