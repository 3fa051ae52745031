//! Real nginx as an application that fails its own health check when it is told to.

/// The configuration of one that keeps its files in `home`, listens at `listen` (an address, or `unix:` and a path),
/// and answers requests by this directive. Its health check, `/health`, fails while the file `switch/drain` is there,
/// which `PUT` and `DELETE` of `/-/drain` make and remove; the folder `switch` has to be there.
#[must_use]
pub fn config(home: &str, listen: &str, answer: &str) -> String {
    format!(
        "daemon off; master_process off; worker_processes 1; pid {home}/pid; error_log {home}/errors;\n\
         events {{ }}\n\
         http {{\n\
           access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;\n\
           fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;\n\
           server {{\n\
             listen {listen};\n\
             location / {{ {answer}; }}\n\
             location = /health {{ if (-f {home}/switch/drain) {{ return 503; }} return 200 well; }}\n\
             location = /-/drain {{ alias {home}/switch/drain; dav_methods PUT DELETE; }}\n\
           }}\n\
         }}\n"
    )
}
