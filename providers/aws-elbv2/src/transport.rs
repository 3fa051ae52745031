//! HTTP for the SDK: plain connections without any TLS, and TLS (rustls with ring) from the first https
//! request on.
//!
//! The SDK's own client reads the system's roots as it is built, twice, even for a plain-http endpoint or
//! for the instance metadata alone. Here they are read once, when something is sent over https.

use std::sync::{Arc, OnceLock};

use aws_sdk_elasticloadbalancingv2::config::http::HttpRequest;
use aws_sdk_elasticloadbalancingv2::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_elasticloadbalancingv2::error::ConnectorError;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};

use crate::roots;

/// The client that every call of the SDK goes through.
pub(crate) fn client() -> SharedHttpClient {
    SharedHttpClient::new(Split {
        plain: Builder::new().build_http(),
        tls: Arc::default(),
    })
}

/// One client for `http:`, one made on demand for `https:`.
#[derive(Debug)]
struct Split {
    plain: SharedHttpClient,
    tls: Arc<Tls>,
}

type Tls = OnceLock<Result<SharedHttpClient, String>>;

impl HttpClient for Split {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Choice {
            plain: self.plain.http_connector(settings, components),
            tls: Arc::clone(&self.tls),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

#[derive(Debug)]
struct Choice {
    plain: SharedHttpConnector,
    tls: Arc<Tls>,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Choice {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if !request.uri().starts_with("https:") {
            return self.plain.call(request);
        }
        match self.tls.get_or_init(tls) {
            Ok(client) => client
                .http_connector(&self.settings, &self.components)
                .call(request),
            Err(why) => HttpConnectorFuture::ready(Err(ConnectorError::user(why.clone().into()))),
        }
    }
}

fn tls() -> Result<SharedHttpClient, String> {
    let roots = TrustStore::empty().with_pem_certificate(roots::pem()?);
    let context = TlsContext::builder()
        .with_trust_store(roots)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(
        Builder::new().build_with_connector_fn(move |settings, components| {
            let mut builder = Connector::builder()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .tls_context(context.clone())
                // The variables HTTPS_PROXY and NO_PROXY. Plain http is what the metadata service and tests
                // speak: never by a proxy.
                .proxy_config(ProxyConfig::from_env());
            if let Some(settings) = settings {
                builder = builder.connector_settings(settings.clone());
            }
            if let Some(components) = components {
                builder.set_sleep_impl(components.sleep_impl());
            }
            builder.build()
        }),
    )
}
