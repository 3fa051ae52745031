# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_lb_drain_global_optspecs
    string join \n h/help V/version
end

function __fish_lb_drain_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_lb_drain_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_lb_drain_using_subcommand
    set -l cmd (__fish_lb_drain_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c lb-drain -n "__fish_lb_drain_needs_command" -s h -l help -d 'Print help'
complete -c lb-drain -n "__fish_lb_drain_needs_command" -s V -l version -d 'Print version'
complete -c lb-drain -n "__fish_lb_drain_needs_command" -f -a "deregister" -d 'Leave every load balancer at once, wait until nothing is in flight, exit inside the budget'
complete -c lb-drain -n "__fish_lb_drain_needs_command" -f -a "register" -d 'Come back: what the last `deregister` took out, as it was'
complete -c lb-drain -n "__fish_lb_drain_needs_command" -f -a "status" -d 'Show each load balancer\'s view of this host, and the requests in flight here'
complete -c lb-drain -n "__fish_lb_drain_needs_command" -f -a "check" -d 'Say whether leaving would work: configuration, load balancers, unit, delays; changes nothing'
complete -c lb-drain -n "__fish_lb_drain_needs_command" -f -a "unit" -d 'Print the unit file that makes a service leave its load balancers, with times that fit'
complete -c lb-drain -n "__fish_lb_drain_needs_command" -f -a "rehearse" -d 'A drain test: requests through the load balancer while this host leaves and comes back'
complete -c lb-drain -n "__fish_lb_drain_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -s c -l config -d 'Configuration file; a bare name means /etc/lb-drain/NAME.toml' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l budget -d 'Time for everything, from the start of the process: a duration such as 30s, or auto' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l unit -d 'The unit that runs this, where systemd cannot tell: its timeout is the budget' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l service -d 'The application\'s unit, where another one runs this (lb-drain@.service does)' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l port -d 'This service\'s ports: requests in flight are watched here' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l state-dir -d 'Where what was taken out is recorded [default: /run/lb-drain]' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l output -d 'What to print on stdout when the command ends' -r -f -a "human\t'Nothing but what people read'
json\t'One JSON object'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l log-format -d 'How to log on stderr' -r -f -a "human\t'For people; in the journal with fields'
json\t'One JSON object a line'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l haproxy -d 'HAProxy runtime sockets: paths or tcp://HOST:PORT' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l haproxy-server -d 'Entries of this host there' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l aws-target-group -d 'AWS target groups, by ARN or name' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l aws-target-id -d 'This host there [default: the instance\'s id, from its metadata]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l aws-port -d 'Its port there [default: every port registered for it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l aws-region -d 'The region [default: that of the ARN, else as the AWS tools find it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l aws-endpoint-url -d 'Where the API answers [default: the region\'s endpoint]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l http-deregister -d 'The request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l http-register -d 'The request that brings it back' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l http-header -d 'A header of these requests; repeat for more. Secrets belong in a file: see the configuration' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l http-body -d 'The body of the request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l http-expect -d 'Statuses that say that it is out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l http-drained -d 'A request that succeeds once nothing is in flight' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l min-wait -d 'Never count a load balancer as drained before this has passed since leaving it' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l max-wait -d 'Stop waiting for a load balancer when this has passed since leaving it' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -s v -l verbose -d 'Say more'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l no-wait -d 'Leave, verify, and do not wait for the drain'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l extend-timeout -d 'Let systemd wait for as long as the load balancers may need, beyond what the unit says'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l keep-out -d 'Stay out until `register` is run by hand: units that start do not bring this host back'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l dry-run -d 'Change nothing; say what would be done'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -l strict -d 'Exit with 75 when out everywhere but not drained in time'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand deregister" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -s c -l config -d 'Configuration file; a bare name means /etc/lb-drain/NAME.toml' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l budget -d 'Time for everything, from the start of the process: a duration such as 30s, or auto' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l unit -d 'The unit that runs this, where systemd cannot tell: its timeout is the budget' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l service -d 'The application\'s unit, where another one runs this (lb-drain@.service does)' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l port -d 'This service\'s ports: requests in flight are watched here' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l state-dir -d 'Where what was taken out is recorded [default: /run/lb-drain]' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l output -d 'What to print on stdout when the command ends' -r -f -a "human\t'Nothing but what people read'
json\t'One JSON object'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l log-format -d 'How to log on stderr' -r -f -a "human\t'For people; in the journal with fields'
json\t'One JSON object a line'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l haproxy -d 'HAProxy runtime sockets: paths or tcp://HOST:PORT' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l haproxy-server -d 'Entries of this host there' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l aws-target-group -d 'AWS target groups, by ARN or name' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l aws-target-id -d 'This host there [default: the instance\'s id, from its metadata]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l aws-port -d 'Its port there [default: every port registered for it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l aws-region -d 'The region [default: that of the ARN, else as the AWS tools find it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l aws-endpoint-url -d 'Where the API answers [default: the region\'s endpoint]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l http-deregister -d 'The request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l http-register -d 'The request that brings it back' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l http-header -d 'A header of these requests; repeat for more. Secrets belong in a file: see the configuration' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l http-body -d 'The body of the request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l http-expect -d 'Statuses that say that it is out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l http-drained -d 'A request that succeeds once nothing is in flight' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -s v -l verbose -d 'Say more'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l wait -d 'Wait until every load balancer has this host in service'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -l even-if-kept-out -d 'Come back also where `deregister --keep-out` took this host out (a unit does not, a person does)'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand register" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -s c -l config -d 'Configuration file; a bare name means /etc/lb-drain/NAME.toml' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l budget -d 'Time for everything, from the start of the process: a duration such as 30s, or auto' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l unit -d 'The unit that runs this, where systemd cannot tell: its timeout is the budget' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l service -d 'The application\'s unit, where another one runs this (lb-drain@.service does)' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l port -d 'This service\'s ports: requests in flight are watched here' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l state-dir -d 'Where what was taken out is recorded [default: /run/lb-drain]' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l output -d 'What to print on stdout when the command ends' -r -f -a "human\t'Nothing but what people read'
json\t'One JSON object'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l log-format -d 'How to log on stderr' -r -f -a "human\t'For people; in the journal with fields'
json\t'One JSON object a line'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l haproxy -d 'HAProxy runtime sockets: paths or tcp://HOST:PORT' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l haproxy-server -d 'Entries of this host there' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l aws-target-group -d 'AWS target groups, by ARN or name' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l aws-target-id -d 'This host there [default: the instance\'s id, from its metadata]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l aws-port -d 'Its port there [default: every port registered for it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l aws-region -d 'The region [default: that of the ARN, else as the AWS tools find it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l aws-endpoint-url -d 'Where the API answers [default: the region\'s endpoint]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l http-deregister -d 'The request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l http-register -d 'The request that brings it back' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l http-header -d 'A header of these requests; repeat for more. Secrets belong in a file: see the configuration' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l http-body -d 'The body of the request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l http-expect -d 'Statuses that say that it is out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -l http-drained -d 'A request that succeeds once nothing is in flight' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -s v -l verbose -d 'Say more'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -s c -l config -d 'Configuration file; a bare name means /etc/lb-drain/NAME.toml' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l budget -d 'Time for everything, from the start of the process: a duration such as 30s, or auto' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l unit -d 'The unit that runs this, where systemd cannot tell: its timeout is the budget' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l service -d 'The application\'s unit, where another one runs this (lb-drain@.service does)' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l port -d 'This service\'s ports: requests in flight are watched here' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l state-dir -d 'Where what was taken out is recorded [default: /run/lb-drain]' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l output -d 'What to print on stdout when the command ends' -r -f -a "human\t'Nothing but what people read'
json\t'One JSON object'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l log-format -d 'How to log on stderr' -r -f -a "human\t'For people; in the journal with fields'
json\t'One JSON object a line'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l haproxy -d 'HAProxy runtime sockets: paths or tcp://HOST:PORT' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l haproxy-server -d 'Entries of this host there' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l aws-target-group -d 'AWS target groups, by ARN or name' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l aws-target-id -d 'This host there [default: the instance\'s id, from its metadata]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l aws-port -d 'Its port there [default: every port registered for it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l aws-region -d 'The region [default: that of the ARN, else as the AWS tools find it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l aws-endpoint-url -d 'Where the API answers [default: the region\'s endpoint]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l http-deregister -d 'The request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l http-register -d 'The request that brings it back' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l http-header -d 'A header of these requests; repeat for more. Secrets belong in a file: see the configuration' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l http-body -d 'The body of the request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l http-expect -d 'Statuses that say that it is out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -l http-drained -d 'A request that succeeds once nothing is in flight' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -s v -l verbose -d 'Say more'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -s c -l config -d 'Configuration file; a bare name means /etc/lb-drain/NAME.toml' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l budget -d 'Time for everything, from the start of the process: a duration such as 30s, or auto' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l unit -d 'The unit that runs this, where systemd cannot tell: its timeout is the budget' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l service -d 'The application\'s unit, where another one runs this (lb-drain@.service does)' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l port -d 'This service\'s ports: requests in flight are watched here' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l state-dir -d 'Where what was taken out is recorded [default: /run/lb-drain]' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l output -d 'What to print on stdout when the command ends' -r -f -a "human\t'Nothing but what people read'
json\t'One JSON object'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l log-format -d 'How to log on stderr' -r -f -a "human\t'For people; in the journal with fields'
json\t'One JSON object a line'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l haproxy -d 'HAProxy runtime sockets: paths or tcp://HOST:PORT' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l haproxy-server -d 'Entries of this host there' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l aws-target-group -d 'AWS target groups, by ARN or name' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l aws-target-id -d 'This host there [default: the instance\'s id, from its metadata]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l aws-port -d 'Its port there [default: every port registered for it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l aws-region -d 'The region [default: that of the ARN, else as the AWS tools find it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l aws-endpoint-url -d 'Where the API answers [default: the region\'s endpoint]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l http-deregister -d 'The request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l http-register -d 'The request that brings it back' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l http-header -d 'A header of these requests; repeat for more. Secrets belong in a file: see the configuration' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l http-body -d 'The body of the request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l http-expect -d 'Statuses that say that it is out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l http-drained -d 'A request that succeeds once nothing is in flight' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l kind -d 'Which one to print [default: the one that fits the unit]' -r -f -a "drop-in\t'Lines in the application\'s own unit'
companion\t'A unit beside it'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -l grace -d 'The time from stop to SIGKILL in all, as Kubernetes counts: split between leaving and the application' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -s v -l verbose -d 'Say more'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand unit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -s c -l config -d 'Configuration file; a bare name means /etc/lb-drain/NAME.toml' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l unit -d 'The unit that runs this, where systemd cannot tell: its timeout is the budget' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l service -d 'The application\'s unit, where another one runs this (lb-drain@.service does)' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l port -d 'This service\'s ports: requests in flight are watched here' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l state-dir -d 'Where what was taken out is recorded [default: /run/lb-drain]' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l output -d 'What to print on stdout when the command ends' -r -f -a "human\t'Nothing but what people read'
json\t'One JSON object'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l log-format -d 'How to log on stderr' -r -f -a "human\t'For people; in the journal with fields'
json\t'One JSON object a line'"
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l haproxy -d 'HAProxy runtime sockets: paths or tcp://HOST:PORT' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l haproxy-server -d 'Entries of this host there' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l aws-target-group -d 'AWS target groups, by ARN or name' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l aws-target-id -d 'This host there [default: the instance\'s id, from its metadata]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l aws-port -d 'Its port there [default: every port registered for it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l aws-region -d 'The region [default: that of the ARN, else as the AWS tools find it]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l aws-endpoint-url -d 'Where the API answers [default: the region\'s endpoint]' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l http-deregister -d 'The request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l http-register -d 'The request that brings it back' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l http-header -d 'A header of these requests; repeat for more. Secrets belong in a file: see the configuration' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l http-body -d 'The body of the request that takes this host out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l http-expect -d 'Statuses that say that it is out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l http-drained -d 'A request that succeeds once nothing is in flight' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l url -d 'Where to send requests: through the load balancer (several are asked for in turn)' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l rate -d 'Requests a second, half of them on connections of their own' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l duration -d 'How long to send: half of it this host is out, a sixth it is watched before and after' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l header -d 'A header to send, such as "Authorization: Bearer …" (it is never shown)' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l restart -d 'Restart this unit while this host is out' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l report -d 'Write the report as a page with a timeline too' -r -F
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l budget -d 'Time for leaving and draining: a duration such as 30s, or auto' -r
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -s v -l verbose -d 'Say more'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -s q -l quiet -d 'Say nothing but warnings and errors'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -l even-if-last -d 'Take this host out even if it is the last one in service'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand rehearse" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand help; and not __fish_seen_subcommand_from deregister register status check unit rehearse help" -f -a "deregister" -d 'Leave every load balancer at once, wait until nothing is in flight, exit inside the budget'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand help; and not __fish_seen_subcommand_from deregister register status check unit rehearse help" -f -a "register" -d 'Come back: what the last `deregister` took out, as it was'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand help; and not __fish_seen_subcommand_from deregister register status check unit rehearse help" -f -a "status" -d 'Show each load balancer\'s view of this host, and the requests in flight here'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand help; and not __fish_seen_subcommand_from deregister register status check unit rehearse help" -f -a "check" -d 'Say whether leaving would work: configuration, load balancers, unit, delays; changes nothing'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand help; and not __fish_seen_subcommand_from deregister register status check unit rehearse help" -f -a "unit" -d 'Print the unit file that makes a service leave its load balancers, with times that fit'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand help; and not __fish_seen_subcommand_from deregister register status check unit rehearse help" -f -a "rehearse" -d 'A drain test: requests through the load balancer while this host leaves and comes back'
complete -c lb-drain -n "__fish_lb_drain_using_subcommand help; and not __fish_seen_subcommand_from deregister register status check unit rehearse help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
