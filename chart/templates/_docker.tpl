{{/* The container that holds the Docker Engine and all bots. Its PID 1 is the fence, which starts the image's own
     entrypoint; `dockerd` as its first argument keeps that from opening a TCP port. */}}
{{- define "runtime.docker" -}}
- name: docker
  image: {{ include "runtime.reference" (list .Values.dind.image "dind") }}
  imagePullPolicy: {{ .Values.dind.image.pullPolicy }}
  restartPolicy: Always
  command: [sh, /opt/bot-runner/fence.sh]
  args:
    - dockerd-entrypoint.sh
    - dockerd
    - --host=unix:///run/docker-socket/docker.sock
    - --group=10001
    - --icc=false
    - --userland-proxy=false
    - --log-driver=local
    {{- with .Values.dind.mtu }}
    - --mtu={{ int64 . }}
    - --default-network-opt=bridge=com.docker.network.driver.mtu={{ int64 . }}
    {{- end }}
    {{- range .Values.dind.registryMirrors }}
    - {{ printf "--registry-mirror=%s" . | quote }}
    {{- end }}
    {{- range .Values.dind.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  env:
    - name: FENCE_DIR
      value: /run/bot-runner
    - name: BOT_DENY_PORTS
      value: "8080"
    - name: BOT_DENY_CIDRS
      value: {{ join "," .Values.dind.denyCidrs | quote }}
    # For people with kubectl exec -c docker.
    - name: DOCKER_HOST
      value: unix:///run/docker-socket/docker.sock
    {{- with .Values.dind.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  # Asks for a fresh tick of the fence and never for dockerd: dockerd waits for the runtime's first deadline, and the
  # runtime for this probe.
  startupProbe:
    exec:
      command:
        - sh
        - -c
        - read -r ticked _ <"$FENCE_DIR/tick" && read -r up _ </proc/uptime && [ $((${up%%.*}${up#*.} - ticked)) -le 500 ]
    periodSeconds: 1
    timeoutSeconds: 5
    failureThreshold: 120
  # The third actor, for a frozen fence: 5 s without a tick, two looks and 1 s of grace are over before others may start
  # these bots (10 s less drift; 20 s with the timings of ci). Each look starts a process in the container.
  livenessProbe:
    exec:
      command: [sh, /opt/bot-runner/fence.sh, probe]
    periodSeconds: {{ ternary 4 1 (eq .Values.runtime.timings "ci") }}
    timeoutSeconds: 10
    failureThreshold: 2
    terminationGracePeriodSeconds: 1
  resources:
    {{- toYaml .Values.dind.resources | nindent 4 }}
  securityContext:
    {{- toYaml .Values.dind.securityContext | nindent 4 }}
  volumeMounts:
    - name: fence-script
      mountPath: /opt/bot-runner
      readOnly: true
    - name: fence
      mountPath: /run/bot-runner
    - name: socket
      mountPath: /run/docker-socket
    - name: state
      mountPath: /var/lib/bot-runner
    - name: docker-data
      mountPath: /var/lib/docker
{{- end }}
