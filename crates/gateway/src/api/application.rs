//! Applications: whom messages are for.

use axum::{extract::State, response::Response};
use http::StatusCode;
use ringback_domain::{
    application::{Application, Metadata},
    id::{ApplicationId, Kind},
    scope::{Reference, check_uid},
    time::Timestamp,
};
use ringback_store::{ApplicationChange, NewApplication, Order, WriteError, audit};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    error::Error,
    extract::{self, Caller, Json, Named, found},
    field::Problems,
    idempotency::{Answered, Posted},
    list::{List, shown},
    patch,
    query::{FromQuery, Paging, Params, Query},
    reply::{json, nothing, render, rendered},
};

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(list, create))
        .routes(routes!(get, upsert, patch, delete))
}

/// An application to create, or what replaces one.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationIn {
    /// For people.
    #[schema(required, nullable = false)]
    name: Option<String>,
    /// Your own name for it, usable in every path.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    uid: Option<Option<String>>,
    /// Your own labels.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    /// Messages a second.
    #[schema(minimum = 1)]
    throttle_rate: Option<u32>,
    /// The old spelling of `throttleRate`.
    #[schema(minimum = 1, deprecated)]
    rate_limit: Option<u32>,
}

/// What changes of an application; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationPatch {
    /// For people.
    #[serde(default, deserialize_with = "patch::given")]
    name: Option<String>,
    /// Your own name for it; null clears it.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<String>)]
    uid: Option<Option<String>>,
    /// Your own labels, replaced as a whole; null clears them.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<Option<Metadata>>,
    /// Messages a second; null clears it.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<u32>)]
    throttle_rate: Option<Option<u32>>,
    /// The old spelling of `throttleRate`.
    #[serde(default, deserialize_with = "patch::given")]
    #[schema(value_type = Option<u32>, deprecated)]
    rate_limit: Option<Option<u32>>,
}

/// An application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApplicationOut {
    /// Ringback's name for it.
    #[schema(value_type = String, example = "app_1srOrx2ZWZBpBUvZwXKQmoEYga2")]
    id: ApplicationId,
    /// Your own name for it.
    uid: Option<String>,
    /// For people.
    name: String,
    /// Your own labels.
    #[schema(value_type = BTreeMap<String, String>)]
    metadata: Metadata,
    /// Messages a second.
    throttle_rate: Option<u32>,
    /// The old spelling of `throttleRate`.
    #[schema(deprecated)]
    rate_limit: Option<u32>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Application> for ApplicationOut {
    fn from(application: Application) -> ApplicationOut {
        let Application { id, uid, name, metadata, throttle_rate, created_at, updated_at } =
            application;
        let rate_limit = throttle_rate;
        ApplicationOut {
            id,
            uid,
            name,
            metadata,
            throttle_rate,
            rate_limit,
            created_at,
            updated_at,
        }
    }
}

/// How an application is created.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
struct Creation {
    /// An application that has the uid already is no conflict: it is the answer, with 200.
    get_if_exists: Option<bool>,
}

impl FromQuery for Creation {
    fn read(query: &mut Params) -> Creation {
        Creation { get_if_exists: query.flag("get_if_exists") }
    }
}

/// List applications
#[utoipa::path(get, path = "/api/v1/app", tag = "Application", params(Paging),
    responses((status = 200, body = List<ApplicationOut>)))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Result<Response, Error> {
    let page = paging.page(Kind::Application, Order::Ascending)?;
    let listed = api.store.applications(caller.environment, page.clone()).await?;
    Ok(json(StatusCode::OK, &shown(Kind::Application, &page, listed, ApplicationOut::from)))
}

/// Create an application
#[utoipa::path(post, path = "/api/v1/app", tag = "Application", params(Creation),
    request_body = ApplicationIn,
    responses((status = 201, body = ApplicationOut), (status = 200, body = ApplicationOut)))]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    Query(creation): Query<Creation>,
    Posted { body, once }: Posted<ApplicationIn>,
) -> Result<Response, Answered> {
    body.check(Problems::of_body())?;
    let application = body.describe(api.mint(caller.now, ApplicationId), caller.now, None)?;
    audit::about("app_id", application.id.to_string());
    let existing = application.uid.clone().filter(|_| creation.get_if_exists == Some(true));
    let existing = existing.map(Reference::Uid);
    if let Some(reference) = &existing
        && let Some(there) =
            found(api.store.application(caller.environment, reference.clone()).await)?
    {
        return Ok(json(StatusCode::OK, &ApplicationOut::from(there)));
    }
    let body = render(&ApplicationOut::from(application.clone()));
    let answer = once.answer(StatusCode::CREATED, &body);
    let new = NewApplication { environment: caller.environment, application, answer };
    match (api.store.create_application(new).await, existing) {
        // Somebody else created it meanwhile.
        (Err(WriteError::Conflict(_)), Some(reference)) => {
            let there = api.store.application(caller.environment, reference).await?;
            Ok(json(StatusCode::OK, &ApplicationOut::from(there)))
        }
        (created, _) => {
            created?;
            Ok(rendered(StatusCode::CREATED, body))
        }
    }
}

/// Get an application
#[utoipa::path(get, path = "/api/v1/app/{app_id}", tag = "Application",
    params(("app_id" = String, Path, description = "id or uid")),
    responses((status = 200, body = ApplicationOut)))]
async fn get(
    State(api): State<Api>,
    caller: Caller,
    Named(application): Named<extract::Application>,
) -> Result<Response, Error> {
    let application = api.store.application(caller.environment, application).await?;
    Ok(json(StatusCode::OK, &ApplicationOut::from(application)))
}

/// Replace an application, or create it
#[utoipa::path(put, path = "/api/v1/app/{app_id}", tag = "Application",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = ApplicationIn,
    responses((status = 200, body = ApplicationOut), (status = 201, body = ApplicationOut)))]
async fn upsert(
    State(api): State<Api>,
    caller: Caller,
    Named(reference): Named<extract::Application>,
    Json(body): Json<ApplicationIn>,
) -> Result<Response, Error> {
    let Caller { environment, now } = caller;
    body.check(Problems::of_body())?;
    let change = body.replacement();
    match api.store.change_application(environment, reference.clone(), change, now).await {
        Err(WriteError::NotFound(_)) => {
            let id = api.mint(now, ApplicationId);
            let application = body.describe(id, now, Some(&reference))?;
            audit::about("app_id", id.to_string());
            let new = NewApplication { environment, application, answer: None };
            let created = api.store.create_application(new).await?;
            Ok(json(StatusCode::CREATED, &ApplicationOut::from(created)))
        }
        changed => Ok(json(StatusCode::OK, &ApplicationOut::from(changed?))),
    }
}

/// Change some of an application
#[utoipa::path(patch, path = "/api/v1/app/{app_id}", tag = "Application",
    params(("app_id" = String, Path, description = "id or uid")),
    request_body = ApplicationPatch,
    responses((status = 200, body = ApplicationOut)))]
async fn patch(
    State(api): State<Api>,
    caller: Caller,
    Named(application): Named<extract::Application>,
    Json(body): Json<ApplicationPatch>,
) -> Result<Response, Error> {
    let Caller { environment, now } = caller;
    let change = body.change()?;
    let changed = api.store.change_application(environment, application, change, now).await?;
    Ok(json(StatusCode::OK, &ApplicationOut::from(changed)))
}

/// Delete an application with its endpoints
#[utoipa::path(delete, path = "/api/v1/app/{app_id}", tag = "Application",
    params(("app_id" = String, Path, description = "id or uid")),
    responses((status = 204)))]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Named(application): Named<extract::Application>,
) -> Result<Response, Error> {
    let Caller { environment, now } = caller;
    let endpoints = api.store.delete_application(environment, application, now).await?;
    for endpoint in endpoints {
        api.lanes.changed(endpoint).await;
    }
    Ok(nothing())
}

impl ApplicationIn {
    /// Checks every field that the caller set.
    ///
    /// # Errors
    /// 422 with everything that is wrong.
    pub(super) fn check(&self, mut problems: Problems) -> Result<(), Error> {
        problems.required("name", self.name.as_ref());
        problems.name("name", self.name.as_ref());
        problems.uid("uid", Kind::Application, self.uid.as_ref().and_then(Option::as_ref));
        problems.metadata("metadata", self.metadata.as_ref());
        problems.throttle_rate("throttleRate", self.throttle_rate.or(self.rate_limit));
        problems.done()
    }

    /// The application that this describes, once it is checked. If it names no uid, it takes the
    /// one that the path names it by.
    ///
    /// # Errors
    /// 422 when the path's uid may be none, 404 when the path has an id: that cannot be chosen.
    pub fn describe(
        &self,
        id: ApplicationId,
        now: Timestamp,
        path: Option<&Reference>,
    ) -> Result<Application, Error> {
        let uid = match (self.uid.clone().flatten(), path) {
            (_, Some(Reference::Id(_))) => return Err(Error::NotFound("application")),
            (None, Some(Reference::Uid(uid))) => {
                let checked = check_uid(Kind::Application, uid);
                checked.map_err(|what| Error::invalid("path", "app_id", what))?;
                Some(uid.clone())
            }
            (uid, _) => uid,
        };
        Ok(Application {
            id,
            uid,
            name: self.name.clone().unwrap_or_default(),
            metadata: self.metadata.clone().unwrap_or_default(),
            throttle_rate: self.throttle_rate.or(self.rate_limit),
            created_at: now,
            updated_at: now,
        })
    }

    /// Everything that a PUT replaces; a uid that is absent stays.
    fn replacement(&self) -> ApplicationChange {
        ApplicationChange {
            uid: self.uid.clone(),
            name: self.name.clone(),
            metadata: Some(self.metadata.clone().unwrap_or_default()),
            throttle_rate: Some(self.throttle_rate.or(self.rate_limit)),
        }
    }
}

impl ApplicationPatch {
    /// # Errors
    /// 422 with everything that is wrong.
    fn change(self) -> Result<ApplicationChange, Error> {
        let throttle_rate = self.throttle_rate.or(self.rate_limit);
        let metadata = self.metadata.map(Option::unwrap_or_default);
        let mut problems = Problems::of_body();
        problems.name("name", self.name.as_ref());
        problems.uid("uid", Kind::Application, self.uid.as_ref().and_then(Option::as_ref));
        problems.metadata("metadata", metadata.as_ref());
        problems.throttle_rate("throttleRate", throttle_rate.flatten());
        problems.done()?;
        Ok(ApplicationChange { uid: self.uid, name: self.name, metadata, throttle_rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(body: &str) -> Result<ApplicationChange, Error> {
        extract::parse::<ApplicationPatch>(body.as_bytes(), 64)?.change()
    }

    #[test]
    fn a_patch_clears_what_is_null_and_keeps_what_is_absent() {
        let change = patch(r#"{"uid":null,"rateLimit":null,"metadata":null}"#).unwrap();
        assert_eq!(change.uid, Some(None));
        assert_eq!(change.throttle_rate, Some(None));
        assert_eq!(change.metadata, Some(Metadata::new()));
        assert_eq!(change.name, None);
        let change = patch(r#"{"name":"n","throttleRate":5}"#).unwrap();
        assert_eq!((change.uid, change.throttle_rate), (None, Some(Some(5))));
        for wrong in
            [r#"{"name":null}"#, r#"{"name":""}"#, r#"{"uid":"app_x"}"#, r#"{"uid":"a/b"}"#]
        {
            assert!(patch(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_put_creates_with_the_name_of_the_path() {
        let id = ApplicationId(ringback_domain::id::Id { key: 1, shard: 0, nonce: 0 });
        let create = |body: &str, path: &str| {
            let body: ApplicationIn = extract::parse(body.as_bytes(), 64)?;
            body.check(Problems::of_body())?;
            let path = Reference::parse(Kind::Application, path);
            Ok(body.describe(id, Timestamp(0), Some(&path))?.uid)
        };
        let uid = |uid: &str| Ok::<_, Error>(Some(uid.to_owned()));
        assert_eq!(create(r#"{"name":"n"}"#, "mine"), uid("mine"));
        assert_eq!(create(r#"{"name":"n","uid":"other"}"#, "mine"), uid("other"));
        assert_eq!(create(r#"{"name":"n"}"#, &id.to_string()), Err(Error::NotFound("application")));
        assert!(matches!(create(r#"{"name":"n"}"#, "app_nearly"), Err(Error::Invalid(_))));
        assert!(matches!(create("{}", "mine"), Err(Error::Invalid(_))));
    }
}
