"""Event types from the `webhooks` of an OpenAPI document."""

from svix.api import EventTypeListOptions
from svix.exceptions import HTTPValidationError, HttpError
from svix.models import EventTypeImportOpenApiIn

from harness.cases import case, equal, raises, true
from server import api, names

YAML = """
openapi: 3.1.0
info: {{title: Pets, version: "1"}}
webhooks:
  {name}:
    post:
      description: A pet came
      x-svix-group-name: pets
      requestBody:
        content:
          application/json:
            schema: {{$ref: "#/components/schemas/pet"}}
      responses:
        200: {{description: fine}}
components:
  schemas:
    pet: {{type: object}}
"""


def take(**fields):
    return api.event_type.import_openapi(EventTypeImportOpenApiIn(**fields)).data


@case
def event_types_are_imported_from_yaml():
    name = next(names)
    dry = take(spec_raw=YAML.format(name=name), dry_run=True)
    equal((dry.modified, [one.name for one in dry.to_modify]), ([], [name]))
    raises(HttpError, lambda: api.event_type.get(name), status_code=404)
    equal(take(spec_raw=YAML.format(name=name)).modified, [name])
    made = api.event_type.get(name)
    equal((made.description, made.group_name, made.archived), ("A pet came", "pets", False))
    equal(made.schemas, {"1": {"$ref": "#/$defs/pet", "$defs": {"pet": {"type": "object"}}}})


@case
def an_import_can_replace_the_catalogue():
    kept, gone = next(names), next(names)
    document = {"openapi": "3.1.0", "webhooks": {kept: {"post": {}}, gone: {"post": {}}}}
    equal(take(spec=document).modified, sorted([kept, gone]))
    del document["webhooks"][gone]
    before = [one for one in listed() if not one.archived]
    take(spec=document, replace_all=True)
    equal([one.name for one in listed() if not one.archived], [kept])
    # Other cases have event types, too.
    bring_back = {"openapi": "3.1.0", "webhooks": {one.name: {} for one in before}}
    take(spec=bring_back)
    true({one.name for one in before} <= {one.name for one in listed() if not one.archived}, "")


def listed():
    options = EventTypeListOptions(limit=250, include_archived=True)
    return api.event_type.list(options).data


@case
def wrong_documents_are_refused():
    for fields in [{}, {"spec": {"webhooks": {}}, "spec_raw": "webhooks: {}"}]:
        raises(HttpError, lambda: take(**fields), status_code=400, code="one_spec_needed")
    error = raises(
        HTTPValidationError, lambda: take(spec={"webhooks": {"not fine": {}}}), status_code=422
    )
    equal(error.detail[0].loc, ["body", "spec", "webhooks", "not fine"])
