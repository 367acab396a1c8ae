// Drives the Segment twin with the unmodified @segment/public-api-sdk-typescript; prints one JSON object.
import { createRequire } from "node:module";

const [home, base, token] = process.argv.slice(2);
const sdk = createRequire(home + "/")("@segment/public-api-sdk-typescript");

function api(kind, accessToken = token) {
  const made = new kind(base);
  made.accessToken = accessToken;
  return made;
}

async function refused(call) {
  try {
    await call();
    return null;
  } catch (error) {
    return { status: error.statusCode, errors: error.body?.errors };
  }
}

const workspaces = api(sdk.WorkspacesApi);
const spaces = api(sdk.SpacesApi);
const audiences = api(sdk.AudiencesApi);
const traits = api(sdk.ComputedTraitsApi);
const regulations = api(sdk.DeletionAndSuppressionApi);

const space = (await spaces.listSpaces({ count: 10 })).body.data.spaces[0];
const seen = [];
let cursor;
do {
  const { data } = (await audiences.listAudiences(space.id, { count: 2, cursor })).body;
  seen.push(...data.audiences);
  cursor = data.pagination.next;
} while (cursor);
const created = await regulations.createWorkspaceRegulation({
  regulationType: "SUPPRESS_ONLY",
  subjectType: "USER_ID",
  subjectIds: ["u-1001"],
});
const regulateId = created.body.data.regulateId;

console.log(
  JSON.stringify({
    workspace: (await workspaces.getWorkspace()).body.data.workspace.slug,
    space: (await spaces.getSpace(space.id)).body.data.space.slug,
    audiences: seen.map((audience) => audience.key),
    audience: (await audiences.getAudience(space.id, seen[1].id)).body.data.audience.key,
    traits: (await traits.listComputedTraits(space.id, { count: 10 })).body.data.computedTraits.map((trait) => trait.key),
    regulation: (await regulations.getRegulation(regulateId)).body.data.regulation.id === regulateId,
    suppressed: (await regulations.listSuppressions({ count: 10 })).body.data.suppressed.flatMap((row) => row.subjectIds),
    unauthorized: await refused(() => api(sdk.WorkspacesApi, "wrong").getWorkspace()),
    tooMany: await refused(() => audiences.listAudiences(space.id, { count: 201 })),
    missing: await refused(() => audiences.getAudience(space.id, "aud_nobody")),
  }),
);
