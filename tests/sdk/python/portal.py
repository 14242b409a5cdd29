"""The portals of applications: tokens for one application, and how they end."""

from svix.api import EndpointIn, EndpointPatch, MessageIn
from svix.exceptions import HttpError
from svix.models import AppPortalAccessIn, AppPortalCapability, ApplicationTokenExpireIn

from harness.cases import case, equal, raises, true
from server import URL, answered, api, application, connect, ids, receiver


@case
def a_portal_token_opens_one_application():
    app, other = application(), application()
    made = api.endpoint.create(app, EndpointIn(url=receiver.place().url))
    access = api.authentication.app_portal_access(
        app,
        AppPortalAccessIn(
            capabilities=[AppPortalCapability.VIEW_BASE, AppPortalCapability.MANAGE_ENDPOINT],
            expiry=3600,
            session_id="visit",
        ),
    )
    true(access.url.startswith(URL) and access.url.endswith("#token=" + access.token), access.url)
    customer = connect(access.token)
    equal(ids(customer.endpoint.list(app)), [made.id])
    equal(customer.endpoint.patch(app, made.id, EndpointPatch(description="d")).description, "d")
    raises(HttpError, lambda: customer.endpoint.list(other), status_code=404)
    raises(HttpError, customer.application.list, status_code=403, code="needs_read")
    message = MessageIn(event_type="a", payload={})
    raises(
        HttpError,
        lambda: customer.message.create(app, message),
        status_code=403,
        code="needs_send",
    )
    customer.authentication.logout()
    raises(HttpError, lambda: customer.endpoint.list(app), status_code=401)


@case
def portal_sessions_are_expired():
    app = application()

    def enter(session):
        wanted = AppPortalAccessIn(session_id=session)
        return connect(api.authentication.app_portal_access(app, wanted).token)

    one, two = enter("one"), enter("two")
    api.authentication.expire_all(app, ApplicationTokenExpireIn(session_ids=["one"]))
    raises(HttpError, lambda: one.endpoint.list(app), status_code=401)
    equal(ids(two.endpoint.list(app)), [])
    api.authentication.expire_all(app, ApplicationTokenExpireIn())
    equal(answered[-1][2], 204)
    raises(HttpError, lambda: two.endpoint.list(app), status_code=401)
